"""InvokeEndpoint and InvokeEndpointWithResponseStream."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

from fleet import platform
from fleet.emulator import answers, event_stream
from fleet.emulator.answers import Answer
from fleet.emulator.container import Broken, Call, Timeout, ask, open_answer
from fleet.emulator.endpoint import Endpoint
from fleet.emulator.instances import Instance
from fleet.emulator.options import Patience
from fleet.emulator.refusals import ContainerFailed, InvalidInvocation, Unavailable

VARIANT = "x-Amzn-Invoked-Production-Variant"


def invoke(
    endpoint: Endpoint, headers: Mapping[str, str], body: bytes, patience: Patience
) -> tuple[dict[str, str], bytes]:
    """Hand a body to one instance and return the headers and the body of its answer.

    Raises:
        ContainerFailed: The container failed, took too long or broke off.
        InvalidInvocation: The endpoint takes asynchronous invocations only.
        Unavailable: No instance is in service.
    """
    with _counted(endpoint) as instance:
        call = _call(headers, body, patience.realtime_s, patience)
        started_s = time.monotonic()
        try:
            answer = ask(instance.address, call)
        except Timeout as error:
            raise answers.failed(0, answers.TIMED_OUT, endpoint.place) from error
        except Broken as error:
            raise answers.failed(0, answers.BROKE_OFF, endpoint.place) from error
        finally:
            endpoint.meter.add("ModelLatency", (time.monotonic() - started_s) * 1e6)
        answers.check(answer, endpoint.place)
        if len(answer.body) > platform.REALTIME_BODY_BYTES:
            said = f"The response of {len(answer.body)} bytes is above the {platform.REALTIME_BODY_BYTES} accepted."
            raise answers.failed(0, said, endpoint.place)
        return {**answers.outbound(answer), VARIANT: endpoint.variant["VariantName"]}, answer.body


def stream(
    endpoint: Endpoint, headers: Mapping[str, str], body: bytes, patience: Patience, draw: random.Random
) -> tuple[dict[str, str], Iterator[bytes]]:
    """Hand a body to one instance and return headers, and the frames of its answer as they come.

    The iterator must be closed.

    Raises:
        ContainerFailed, InvalidInvocation, Unavailable: As `invoke`, before the first frame.
    """
    with ExitStack() as stack:
        instance = stack.enter_context(_counted(endpoint))
        started_s = time.monotonic()
        call = _call(headers, body, patience.stream_s, patience)
        try:
            head, blocks = stack.enter_context(open_answer(instance.address, call, first_byte_s=patience.first_byte_s))
            if not 200 <= head.status < 300:
                head = Answer(status=head.status, headers=head.headers, body=b"".join(blocks))
        except Timeout as error:
            raise answers.failed(0, answers.TIMED_OUT, endpoint.place) from error
        except Broken as error:
            raise answers.failed(0, answers.BROKE_OFF, endpoint.place) from error
        answers.check(head, endpoint.place)
        endpoint.meter.add("FirstChunkLatency", (time.monotonic() - started_s) * 1e6)
        found = answers.outbound(head)
        found["X-Amzn-SageMaker-Content-Type"] = found.pop("Content-Type", "application/octet-stream")
        found[VARIANT] = endpoint.variant["VariantName"]
        return found, _frames(blocks, endpoint, draw, stack.pop_all())
    raise AssertionError  # ExitStack's type lets it swallow exceptions; it does not


def _frames(blocks: Iterator[bytes], endpoint: Endpoint, draw: random.Random, stack: ExitStack) -> Iterator[bytes]:
    with stack:
        try:
            for part in event_stream.recut(blocks, draw=draw):
                yield event_stream.payload_part(part)
        except Timeout:
            endpoint.meter.add("MidStreamErrors")
            yield event_stream.model_stream_error("ModelInvocationTimeExceeded", answers.TIMED_OUT)
        except Broken:
            endpoint.meter.add("MidStreamErrors")
            yield event_stream.model_stream_error("StreamBroken", answers.BROKE_OFF)


def _call(headers: Mapping[str, str], body: bytes, timeout_s: float, patience: Patience) -> Call:
    return Call(body=body, size=len(body), headers=headers, timeout_s=timeout_s, accept_s=patience.accept_s)


@contextlib.contextmanager
def _counted(endpoint: Endpoint) -> Iterator[Instance]:
    """Take an instance for the length of the block, and count what becomes of the invocation."""
    if endpoint.desk is not None:
        raise InvalidInvocation(
            f"Endpoint {endpoint.name} takes asynchronous invocations only: put the input into S3 and use"
            " InvokeEndpointAsync."
        )
    meter = endpoint.meter
    with endpoint.group.acquired() as instance:
        if instance is None:
            raise Unavailable(f"No instance of endpoint {endpoint.name} is in service.")
        meter.add("Invocations")
        meter.add("InvocationsPerInstance", 1 / max(endpoint.group.ready, 1))
        status = 200
        try:
            yield instance
        except ContainerFailed as failed:
            original = failed.members["OriginalStatusCode"]
            status = original if isinstance(original, int) and original else 500
            raise
        finally:
            meter.add("Invocation4XXErrors", float(400 <= status < 500))
            meter.add("Invocation5XXErrors", float(status >= 500))
            meter.add("InvocationModelErrors", float(status != 200))
