"""What SageMaker answers when it does not do what it was asked.

- Refusal
    - InvalidCall           the runtime's ValidationError and the control plane's ValidationException
    - BodyTooLarge          413, which has no name in the API
    - Unavailable           the runtime cannot reach an instance
    - ContainerFailed       ModelError: the container's failure, wrapped
"""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A call that is answered by an error.

    Attributes:
        status: The HTTP status.
        code: The name of the error, as `ClientError.response["Error"]["Code"]` shows it; empty for an error that has
            only its status.
        message: What came, what is accepted, what to do.
        members: What the error carries besides.
    """

    status = 400
    code = ""

    def __init__(self, message: str, members: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.members = dict(members or {})


class InvalidCall(Refusal):
    """The control plane's `ValidationException`."""

    code = "ValidationException"


class InvalidInvocation(Refusal):
    """The runtime's `ValidationError`."""

    code = "ValidationError"


class NotFound(Refusal):
    """The control plane's `ResourceNotFound`, which only transform jobs use."""

    code = "ResourceNotFound"


class InUse(Refusal):
    """The control plane's `ResourceInUse`."""

    code = "ResourceInUse"


class BodyTooLarge(Refusal):
    """A body above the limit."""

    status = 413


class Unavailable(Refusal):
    """No instance can take the call."""

    status = 503
    code = "ServiceUnavailable"


class ContainerFailed(Refusal):
    """The container answered with an error, broke off or took too long."""

    status = 424
    code = "ModelError"
