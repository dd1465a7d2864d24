"""What becomes of a container's answer on its way to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fleet import platform
from fleet.emulator.refusals import ContainerFailed

PASSED_IN = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
)
"""Headers that reach the container. SageMaker strips every other (dg/your-algorithms-inference-code.html)."""

PASSED_OUT = (
    "Content-Type",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-New-Session-Id",
    "X-Amzn-SageMaker-Closed-Session-Id",
)
"""Headers of the container that reach the caller (service model, `InvokeEndpointOutput`)."""

TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
BROKE_OFF = "The connection to container primary was closed before it had answered."
NO_LENGTH = "The response from container primary did not specify the required Content-Length header"
LONG_HEADERS = (
    f"The response from container primary has headers with length greater than {platform.RESPONSE_HEADERS_BYTES} bytes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a container answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header, whatever the case of its name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose container it was: what a ModelError tells about its log."""

    region: str
    account: str
    endpoint_name: str

    @property
    def log_group(self) -> str:
        """The log group of the endpoint."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint_name}"

    @property
    def log_arn(self) -> str:
        """The ARN of the endpoint's logs."""
        return f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.log_group}"


def inbound(header: Callable[[str], str | None]) -> dict[str, str]:
    """Keep the headers that a container gets to see, of those that can be asked for by name."""
    found = {name: header(name) for name in PASSED_IN}
    return {name: value for name, value in found.items() if value}


def outbound(answer: Answer) -> dict[str, str]:
    """Keep the headers that a caller gets to see."""
    found = {name: answer.header(name) for name in PASSED_OUT}
    return {name: value for name, value in found.items() if value is not None}


def check(answer: Answer, place: Place) -> Answer:
    """Return the answer if SageMaker would pass it on.

    Raises:
        ContainerFailed: Its status is no success, or its headers are too long.
    """
    if header_bytes(answer.headers) > platform.RESPONSE_HEADERS_BYTES:
        raise failed(0, LONG_HEADERS, place)
    if not 200 <= answer.status < 300:
        raise failed(answer.status, answer.body.decode("utf-8", "replace"), place)
    return answer


def failed(status: int, message: str, place: Place) -> ContainerFailed:
    """Wrap a failure of the container as a ModelError; `status` is 0 when it did not answer at all."""
    kind = "client" if 400 <= status < 500 else "server"
    original = message[: platform.ORIGINAL_MESSAGE_LENGTH]
    console = (
        f"https://{place.region}.console.aws.amazon.com/cloudwatch/home?region={place.region}"
        f"#logEventViewer:group={place.log_group} in account {place.account}"
    )
    said = (
        f'Received {kind} error ({status}) from primary with message "{original}". See {console} for more information.'
    )
    return ContainerFailed(
        said, {"OriginalStatusCode": status, "OriginalMessage": original, "LogStreamArn": place.log_arn}
    )


def header_bytes(headers: Iterable[tuple[str, str]]) -> int:
    """Count the bytes of the header lines."""
    return sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers)
