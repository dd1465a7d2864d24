"""One recording to a real-time endpoint, or to a container without AWS, and its answer."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol
from urllib.parse import urlsplit

from fleet import platform
from fleet.client.answers import failure_of
from fleet.client.aws import asking
from fleet.client.errors import CannotCall, Failed, Misused
from fleet.client.recordings import LocalFile, Recording
from fleet.client.wishes import Wishes

JSON = "application/json"
BYTES = "application/octet-stream"
BLOCK_BYTES = 64 * 1024

READ_TIMEOUT_S = platform.REALTIME_TIMEOUT_S + 10
"""SageMaker itself gives up after 60 seconds, and its answer shall be seen."""


class Way(Protocol):
    """How a container is reached."""

    def ask(self, recording: Recording, wishes: Wishes) -> bytes:
        """Return the answer.

        Raises:
            CannotCall: There is none.
        """
        ...

    def stream(self, recording: Recording, wishes: Wishes) -> Iterator[bytes]:
        """Yield the answer's parts as they come, cut anywhere.

        Raises:
            CannotCall: There is none, or it breaks off.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A real-time endpoint of SageMaker, or of the emulator."""

    runtime: Any  # boto3's clients have no types of their own
    name: str
    region: str

    def ask(self, recording: Recording, wishes: Wishes) -> bytes:
        """Return the answer; see `Way`."""
        with _body(recording, wishes) as body, self._asking():
            answer: bytes = self.runtime.invoke_endpoint(**self._parameters(recording, wishes, body))["Body"].read()
            return answer

    def stream(self, recording: Recording, wishes: Wishes) -> Iterator[bytes]:
        """Yield the answer's parts; see `Way`."""
        with _body(recording, wishes) as body, self._asking():
            parts = self.runtime.invoke_endpoint_with_response_stream(**self._parameters(recording, wishes, body))
            for part in parts["Body"]:
                if "PayloadPart" in part:
                    yield part["PayloadPart"]["Bytes"]

    def _parameters(self, recording: Recording, wishes: Wishes, body: IO[bytes] | bytes) -> dict[str, Any]:
        given = {"Accept": wishes.accept, "CustomAttributes": _attributes(recording, wishes)}
        return {
            "EndpointName": self.name,
            "Body": body,
            "ContentType": _content_type(recording),
            **{name: value for name, value in given.items() if value},
        }

    def _asking(self) -> Any:  # noqa: ANN401 - contextlib's type has a private name
        return asking(self.region, about=f"the endpoint {self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container that can be reached without AWS.

    Attributes:
        url: `http://host:port`, as `container_at` checks it.
        timeout_s: How long it may say nothing.
    """

    url: str
    timeout_s: float

    def ask(self, recording: Recording, wishes: Wishes) -> bytes:
        """Return the answer; see `Way`."""
        with self._answer(recording, wishes) as answer:
            return answer.read()

    def stream(self, recording: Recording, wishes: Wishes) -> Iterator[bytes]:
        """Yield the answer's parts; see `Way`."""
        with self._answer(recording, wishes) as answer:
            while part := answer.read1(BLOCK_BYTES):
                yield part

    @contextmanager
    def _answer(self, recording: Recording, wishes: Wishes) -> Iterator[http.client.HTTPResponse]:
        address = urlsplit(self.url)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        headers = {"Content-Type": _content_type(recording)}
        if isinstance(recording, LocalFile):
            headers["Content-Length"] = str(recording.size_bytes)
        if wishes.accept:
            headers["Accept"] = wishes.accept
        if attributes := _attributes(recording, wishes):
            headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
        with ExitStack() as stack:
            body = stack.enter_context(_body(recording, wishes))
            connection = kind(address.hostname or "", address.port, timeout=self.timeout_s)
            stack.callback(connection.close)
            try:
                _send(connection, f"{address.path}/invocations", body, headers)
                answer = connection.getresponse()
                if answer.status != http.client.OK:
                    said = failure_of(answer.read()) or answer.reason
                    raise Failed(f"the container answered {answer.status}: {said}")
                yield answer
            except ConnectionRefusedError as error:
                raise CannotCall(f"nothing listens at {self.url}; start a container there, or make serve") from error
            except TimeoutError as error:
                raise CannotCall(f"{self.url} said nothing for {self.timeout_s:g} s; see --timeout") from error
            except (OSError, http.client.HTTPException) as error:
                why = str(error) or type(error).__name__
                raise CannotCall(f"the connection to {self.url} failed ({why}); is it a container?") from error


def container_at(url: str, *, timeout_s: float) -> Container:
    """Understand the address of a container.

    Raises:
        Misused: It is no address of one.
    """
    try:
        address = urlsplit(url)
        usable = address.scheme in {"http", "https"} and address.hostname and (address.port or True)
    except ValueError:
        usable = False
    if not usable:
        raise Misused(f"--url {url} is no address; it looks like http://127.0.0.1:8080")
    return Container(url=url.rstrip("/").removesuffix("/invocations"), timeout_s=timeout_s)


def _send(connection: http.client.HTTPConnection, path: str, body: IO[bytes] | bytes, headers: dict[str, str]) -> None:
    try:
        connection.request("POST", path, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        # a container that does not want the body answers and hangs up while it is still being sent
        if connection.sock is None:
            raise


@contextmanager
def _body(recording: Recording, wishes: Wishes) -> Iterator[IO[bytes] | bytes]:
    """Open what is to be sent: a file's bytes, or a JSON body that names an object."""
    if isinstance(recording, LocalFile):
        try:
            file = recording.path.open("rb")
        except OSError as error:
            raise Misused(f"{recording} cannot be read any more ({error.strerror})") from error
        with file:
            yield file
    else:
        yield json.dumps({"s3_uri": str(recording), **wishes.fields}).encode()


def _content_type(recording: Recording) -> str:
    return BYTES if isinstance(recording, LocalFile) else JSON


def _attributes(recording: Recording, wishes: Wishes) -> str:
    """Return the options beside a raw body; in a JSON body they are fields."""
    return wishes.attributes if isinstance(recording, LocalFile) else ""
