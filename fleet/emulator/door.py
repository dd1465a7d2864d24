"""HTTP: one address for every service. SageMaker's runtime and control plane are answered here, the rest is moto's."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.wrappers import Request, Response

from fleet import platform
from fleet.emulator import answers, constraints, event_stream, realtime
from fleet.emulator.control import Control
from fleet.emulator.options import Patience
from fleet.emulator.refusals import BodyTooLarge, InvalidInvocation, Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

INVOCATION = re.compile(
    r"/endpoints/(?P<name>[^/]+)/(?P<kind>invocations|async-invocations|invocations-response-stream)"
)
OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
TARGET = "SageMaker."
SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
DEFAULT_REGION = "us-east-1"
"""For callers who do not sign, such as curl."""

DRAIN_BYTES = 256 * platform.MEGABYTE
"""How much of a body that is too large is read, so that its sender gets to read the answer."""


class Door:
    """A WSGI application."""

    def __init__(self, control: Control, patience: Patience, draw: random.Random) -> None:
        self._control = control
        self._patience = patience
        self._draw = draw
        self._moto: Callable[..., Iterable[bytes]] = DomainDispatcherApplication(create_backend_app)
        self._kinds: dict[str, Callable[[Request, str, dict[str, Any]], Response]] = {
            "invocations": self._invoke,
            "async-invocations": self._invoke_async,
            "invocations-response-stream": self._stream,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        invocation = INVOCATION.fullmatch(request.path)
        operation = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        if invocation and request.method == "POST" and _scope(request, "service", "sagemaker") == "sagemaker":
            answer = self._runtime(request, invocation["name"], invocation["kind"])
        elif operation in self._control.operations:
            answer = self._operate(request, operation)
        else:
            return self._moto(environ, start_response)
        answer.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        return answer(environ, start_response)

    def _operate(self, request: Request, operation: str) -> Response:
        try:
            asked = json.loads(request.get_data() or b"{}")
            return _json(self._control.call(operation, _region(request), asked))
        except Refusal as refusal:
            return _json({"__type": refusal.code, "message": refusal.message}, status=refusal.status)

    def _runtime(self, request: Request, name: str, kind: str) -> Response:
        try:
            return self._kinds[kind](request, name, _members(request, name, OPERATIONS[kind]))
        except Refusal as refusal:
            answer = _json({"Message": refusal.message, **refusal.members}, status=refusal.status)
            if refusal.code:
                answer.headers["x-amzn-ErrorType"] = refusal.code
            return answer

    def _invoke(self, request: Request, name: str, _asked: dict[str, Any]) -> Response:
        body = _body(request, platform.REALTIME_BODY_BYTES)
        endpoint = self._control.endpoint(_region(request), name)
        headers, content = realtime.invoke(endpoint, answers.inbound(request.headers.get), body, self._patience)
        answer = Response(content)
        del answer.headers["Content-Type"]
        answer.headers.update(headers)
        return answer

    def _stream(self, request: Request, name: str, asked: dict[str, Any]) -> Response:
        body = _body(request, platform.REALTIME_BODY_BYTES)
        endpoint = self._control.endpoint(_region(request), name)
        given = answers.inbound(request.headers.get)
        given.pop("Accept", None)  # here it travels under another name
        if asked.get("Accept"):
            given["Accept"] = asked["Accept"]
        headers, frames = realtime.stream(endpoint, given, body, self._patience, self._draw)
        return Response(frames, headers=headers, content_type=event_stream.CONTENT_TYPE)

    def _invoke_async(self, request: Request, name: str, asked: dict[str, Any]) -> Response:
        body = _body(request, platform.REALTIME_BODY_BYTES) or None
        endpoint = self._control.endpoint(_region(request), name)
        if endpoint.desk is None:
            raise InvalidInvocation(f"Endpoint {name} has no AsyncInferenceConfig; use InvokeEndpoint.")
        order = endpoint.desk.submit(asked, body)
        answer = _json({"InferenceId": order.inference_id}, status=202)
        answer.headers["X-Amzn-SageMaker-OutputLocation"] = order.output_location
        if order.failure_location:
            answer.headers["X-Amzn-SageMaker-FailureLocation"] = order.failure_location
        return answer


def _members(request: Request, name: str, operation: str) -> dict[str, Any]:
    """Return the members of an invocation that travel in headers, checked against the service model.

    Raises:
        InvalidInvocation: One of them is not as the service model wants it.
    """
    model = constraints.operation("sagemaker-runtime", operation)
    if model is None or model.input_shape is None:
        return {}
    shapes: Mapping[str, Any] = model.input_shape.members  # botocore has no types
    asked: dict[str, Any] = {"EndpointName": name}
    for member, shape in shapes.items():
        value = request.headers.get(shape.serialization.get("name", "")) if _in_header(shape) else None
        if value:
            try:
                asked[member] = int(value) if shape.type_name == "integer" else value
            except ValueError as error:
                raise InvalidInvocation(f"{member} must be a whole number, not {value!r}.") from error
    checked = {**asked, "Body": None}  # the body is measured while it is read
    found = list(constraints.violations(model.input_shape, checked))
    if found:
        raise InvalidInvocation(constraints.summary(found))
    return asked


def _in_header(shape: Any) -> bool:  # noqa: ANN401 - botocore has no types
    return bool(shape.serialization.get("location") == "header")


def _body(request: Request, limit: int) -> bytes:
    """Read the body.

    Raises:
        BodyTooLarge: It is above the limit.
    """
    content = request.stream.read(limit + 1)
    if len(content) > limit:
        left = DRAIN_BYTES
        while left > 0 and (block := request.stream.read(platform.MEGABYTE)):
            left -= len(block)
        raise BodyTooLarge(
            f"Request Entity Too Large: the body is above the {limit} bytes accepted; an asynchronous endpoint takes"
            " more."
        )
    return content


def _scope(request: Request, part: str, default: str) -> str:
    match = SCOPE.search(request.headers.get("Authorization", ""))
    return match[part] if match else default


def _region(request: Request) -> str:
    return _scope(request, "region", DEFAULT_REGION)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status=status, content_type="application/x-amz-json-1.1")
