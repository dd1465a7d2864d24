"""Accounts: what is told of one request and of one batch, as plain values.

Whoever does the work writes them down and knows nothing of logs, Prometheus or CloudWatch; `ledger`, `metrics` and
`emf` tell them. Seconds of time and seconds of sound both end in `_s`: `audio_s`, `speech_s` and `waiting_audio_s` are
sound, all others time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType

from transcriber.errors import RequestError, ServiceError, StartupError, TranscriberError

ANSWERED = "ok"
ABANDONED = "client_gone"
NOWHERE = "not_found"
"""A path that does not exist, or a method that it does not take: refused before anything of ours is asked."""

ADDRESSES = ("s3://", "http://", "https://")
"""How the address of a recording begins."""


class SourceKind(StrEnum):
    """Where a request's audio is; `NONE` when the request was refused before that was understood."""

    S3 = "s3"
    INLINE = "inline"
    BODY = "body"
    WEB = "web"
    NONE = "none"


class Step(StrEnum):
    """What a request's own thread spends its time on, beside waiting for the model."""

    FETCH = "fetch"
    CORE_WAIT = "core_wait"
    DECODE = "decode"
    FIND_SPEECH = "find_speech"
    PREPARE = "prepare"
    RENDER = "render"


def _slugs(root: type[TranscriberError] = TranscriberError) -> Iterator[str]:
    if not issubclass(root, StartupError):  # seen by operators, never by a caller
        if root not in {RequestError, ServiceError}:
            yield root.slug
        for child in root.__subclasses__():
            yield from _slugs(child)


OUTCOMES = frozenset({ANSWERED, ABANDONED, NOWHERE, *_slugs()})
"""How a request can end: every slug that a caller can meet, and the two ends that have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAccount:
    """One batch that the engine has worked on.

    Attributes:
        windows: How many windows it held.
        took_s: Seconds from its start to its end.
        waits_s: For each window, how long it had waited for this batch.
        is_failed: Whether it raised; its windows are tried again in smaller batches.
    """

    windows: int
    took_s: float
    waits_s: tuple[float, ...]
    is_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """How full the house is at one moment.

    Attributes:
        is_ready: Whether /ping answers 200.
        requests: Requests in flight.
        waiting_windows: Windows that wait for a batch.
        running_batches: Batches that the model works on.
        waiting_audio_s: Seconds of audio that are admitted and not read yet.
        replicas: How many batches the model works on at the same time; 0 while it loads.
        largest_batch: The most windows in one batch; 0 while it loads. Lowered when the device runs out of memory.
    """

    is_ready: bool = False
    requests: int = 0
    waiting_windows: int = 0
    running_batches: int = 0
    waiting_audio_s: float = 0.0
    replicas: int = 0
    largest_batch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one request took.

    Attributes:
        audio_bytes: Size of the audio file as it was fetched.
        audio_s: Length of the recording, as far as it was decoded.
        speech_s: How much of it was to be read.
        fetch_s: Until the file was there.
        core_wait_s: Waiting for a core to decode and listen on.
        decode_s: Opening and decoding the file.
        find_speech_s: Finding speech.
        prepare_s: Features and prompts of the windows.
        queue_wait_s: How long windows waited for a batch, all tries together; the longest of them.
        worked_s: How long the windows' batches took, summed over the windows.
        device_s: The request's share of that: of a batch of eight windows, an eighth for each.
        first_window_s: Until the first window went to the model; None while none has.
        read_s: From then until the last window was read; decoding goes on meanwhile.
        windows: Windows read.
        largest_batch: Windows in the largest batch that any of them met.
        mean_batch: Windows in the batch that they met, on average.
        fallbacks: Tries above the first, at higher temperatures.
    """

    audio_bytes: int = 0
    audio_s: float = 0.0
    speech_s: float = 0.0
    fetch_s: float = 0.0
    core_wait_s: float = 0.0
    decode_s: float = 0.0
    find_speech_s: float = 0.0
    prepare_s: float = 0.0
    queue_wait_s: float = 0.0
    worked_s: float = 0.0
    device_s: float = 0.0
    first_window_s: float | None = None
    read_s: float = 0.0
    windows: int = 0
    largest_batch: int = 0
    mean_batch: float = 0.0
    fallbacks: int = 0


@dataclass(slots=True, kw_only=True)
class Account:
    """One request, from its first byte to its last; written by the one thread that works on it.

    Attributes:
        request_id: The caller's id or one of our own.
        route: The path as the application knows it; None for one that it does not know.
        source: Where the audio is.
        form: The form of the answer.
        language: What is spoken, once the answer has begun to say so.
        is_streamed: Whether the answer goes out piece by piece.
        is_told: Whether the request gets a line and counts: it asked for a transcript, or was refused.
        status: What was sent as HTTP status; 0 while nothing has been.
        slug: The failure's slug; None as long as there is none.
        reason: The failure's sentence.
        is_ours: Whether the failure is for the operator to look at: those with a status from 500.
        stack: Of a failure that nobody foresaw.
        is_gone: Whether the caller closed the connection before the answer was out.
        answer_bytes: How much of the answer was handed to the connection.
        render_s: Writing the answer.
        total_s: From the first byte of the request to the last of the answer.
        costs: What it took; may be asked at any time.
        address: What the caller named as the recording's place, which no log shall hold.
    """

    request_id: str | None = None
    route: str | None = None
    source: SourceKind = SourceKind.NONE
    form: str | None = None
    language: str | None = None
    is_streamed: bool = False
    is_told: bool = False
    status: int = 0
    slug: str | None = None
    reason: str | None = None
    is_ours: bool = False
    stack: str | None = None
    is_gone: bool = False
    answer_bytes: int = 0
    render_s: float = 0.0
    total_s: float = 0.0
    costs: Callable[[], Costs] = field(default=Costs)
    address: str | None = None

    def refuse(self, slug: str, reason: str, *, is_ours: bool) -> None:
        """Note how the request failed; the first failure counts."""
        self.is_told = True
        if self.slug is None:
            self.slug, self.reason, self.is_ours = slug, reason, is_ours

    @contextmanager
    def rendering(self, language: str | None = None) -> Iterator[None]:
        """Count the time of the block as writing the answer, which says that this language is spoken."""
        began_s = time.perf_counter()
        yield
        self.render_s += time.perf_counter() - began_s
        self.language = language or self.language

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`, whatever became of the request."""
        if self.slug is not None:
            return self.slug if self.slug in OUTCOMES else TranscriberError.slug
        return ABANDONED if self.is_gone else ANSWERED

    def concealed(self, text: str) -> str:
        """Return a text without the recording's address, if that is known."""
        return text.replace(self.address, "the recording") if self.address else text

    def told_reason(self, *, is_whole: bool) -> str | None:
        """Return the failure's sentence without the recording's address, unless it `is_whole`.

        Where the address is known it is left out; where it is not, everything that follows its beginning is, since a
        key may hold spaces.
        """
        if self.reason is None or is_whole:
            return self.reason
        reason = self.concealed(self.reason)
        for beginning in ADDRESSES:
            head, found, _rest = reason.partition(beginning)
            reason = f"{head}{found}..." if found else reason
        return reason


STEPS = MappingProxyType(
    {
        Step.FETCH: "fetch_s",
        Step.CORE_WAIT: "core_wait_s",
        Step.DECODE: "decode_s",
        Step.FIND_SPEECH: "find_speech_s",
        Step.PREPARE: "prepare_s",
        Step.RENDER: "render_s",
    }
)
"""Under which name a request's line has the time of each step."""

COSTS = tuple(cost.name for cost in fields(Costs))
