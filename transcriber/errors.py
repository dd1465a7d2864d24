"""The closed set of failures.

Every failure that a caller or an operator can meet is one of the leaves below. `kind` groups them by what can be done
about them; app.py holds the only table from kind to HTTP status. `slug` is stable: callers may compare it.

TranscriberError
├── RequestError                      the caller must change the request
│   ├── MalformedRequest              body, field or header that cannot be understood
│   ├── UnsupportedOption             understood, but this model cannot do it
│   ├── SourceForbidden               the audio exists, but may not be read
│   ├── SourceNotFound                no audio at that address
│   ├── TooLarge                      more bytes or more seconds than this container takes
│   ├── NotAudio                      the bytes hold no sound that can be decoded
│   └── UnacceptableFormat            no form of answer that the caller accepts
├── ServiceError                      the same request may succeed later
│   ├── NotReady                      the model is still loading, or failed to load
│   ├── Busy                          as much work waits as may wait
│   ├── Stopping                      the container is shutting down
│   ├── DeadlineExceeded              the work did not finish in the time it was given
│   ├── SourceUnavailable             the store that holds the audio does not answer
│   └── CallerGone                    nobody waits for the answer any more
├── DeviceFault                       the device or the engine failed on this work
└── StartupError                      the container cannot start as it was configured
    ├── InvalidSettings               an environment variable is unknown or ill-formed
    └── ModelUnavailable              the model is not where it was said to be, or cannot be loaded
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What can be done about a failure; app.py turns each into one HTTP status."""

    MALFORMED = "malformed"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    NOT_AUDIO = "not_audio"
    NOT_ACCEPTABLE = "not_acceptable"
    UNAVAILABLE = "unavailable"
    DEADLINE = "deadline"
    UPSTREAM = "upstream"
    GONE = "gone"
    INTERNAL = "internal"


class TranscriberError(Exception):
    """A failure whose message may be shown: what came, what is accepted, what to do; never a secret or a path."""

    kind: ClassVar[Kind] = Kind.INTERNAL
    slug: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(TranscriberError):
    """The caller must change the request."""

    kind = Kind.MALFORMED
    slug = "request_error"


class MalformedRequest(RequestError):
    """The body, a field or a header cannot be understood."""

    slug = "malformed_request"


class UnsupportedOption(RequestError):
    """The option is understood, but the model that is loaded cannot do it."""

    slug = "unsupported_option"


class SourceForbidden(RequestError):
    """The audio may not be read: the role, the bucket or a setting forbids it."""

    kind = Kind.FORBIDDEN
    slug = "source_forbidden"


class SourceNotFound(RequestError):
    """No audio stands at the address that the request names."""

    kind = Kind.NOT_FOUND
    slug = "source_not_found"


class TooLarge(RequestError):
    """The request brings more bytes or more seconds of audio than this container takes."""

    kind = Kind.TOO_LARGE
    slug = "too_large"


class NotAudio(RequestError):
    """The bytes hold no sound that can be decoded."""

    kind = Kind.NOT_AUDIO
    slug = "not_audio"


class UnacceptableFormat(RequestError):
    """None of the forms of answer that the caller accepts is one that can be given."""

    kind = Kind.NOT_ACCEPTABLE
    slug = "unacceptable_format"


class ServiceError(TranscriberError):
    """The same request may succeed later.

    Attributes:
        retry_after_s: Seconds after which trying again is sensible; None when nobody can know.
    """

    kind = Kind.UNAVAILABLE
    slug = "service_error"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(ServiceError):
    """The model is still loading, or failed to load."""

    slug = "model_not_ready"


class Busy(ServiceError):
    """As much work waits as may wait."""

    slug = "busy"


class Stopping(ServiceError):
    """The container is shutting down and takes no new work."""

    slug = "stopping"


class DeadlineExceeded(ServiceError):
    """The work did not finish in the time it was given."""

    kind = Kind.DEADLINE
    slug = "deadline_exceeded"


class SourceUnavailable(ServiceError):
    """The store that holds the audio does not answer, or breaks off."""

    kind = Kind.UPSTREAM
    slug = "source_unavailable"


class CallerGone(ServiceError):
    """The caller has closed the connection: nobody waits for the answer any more."""

    kind = Kind.GONE
    slug = "client_gone"


class DeviceFault(TranscriberError):
    """The device or the engine failed on this work.

    Attributes:
        fatal: The device will not work again in this process; /ping must say so.
        out_of_memory: The batch was too large for the device; a smaller one may pass.
    """

    slug = "device_fault"

    def __init__(self, message: str, *, fatal: bool = False, out_of_memory: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal
        self.out_of_memory = out_of_memory


class StartupError(TranscriberError):
    """The container cannot start as it was configured; seen in the log, never by a caller."""

    slug = "startup_error"


class InvalidSettings(StartupError):
    """An environment variable is unknown to the container or ill-formed."""

    slug = "invalid_settings"


class ModelUnavailable(StartupError):
    """The model is not where it was said to be, or cannot be loaded."""

    slug = "model_unavailable"
