"""OpenAI's own answers where they are not the same as ours: `json`, a stream's events, failures and the list of models.

Source: the types of openai-python 3.52 (`types/audio`, `types/model.py`) and its `_streaming.py`. `verbose_json`, which
our own dialect has too, is in `rendering/documents.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from transcriber.rendering.documents import Usage, line, sendable, usage
from transcriber.transcript import Segment, Transcript


class TranscriptionDocument(TypedDict):
    """The answer in `json` (`Transcription`)."""

    text: str
    usage: Usage


class DeltaEvent(TypedDict):
    """More text of a stream (`TranscriptionTextDeltaEvent`): appended to what came before it, all of it is the text."""

    type: Literal["transcript.text.delta"]
    delta: str


class DoneEvent(TypedDict):
    """The last event of a stream that succeeded (`TranscriptionTextDoneEvent`); its `usage` would be in tokens."""

    type: Literal["transcript.text.done"]
    text: str


class FailureReason(TypedDict):
    """What went wrong; `param` is always null, for the sentence names the field."""

    message: str
    type: str
    param: None
    code: str


class FailureDocument(TypedDict):
    """The answer to a request that failed."""

    error: FailureReason


class ModelDocument(TypedDict):
    """A model (`Model`)."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsDocument(TypedDict):
    """The answer of `GET /v1/models`."""

    object: Literal["list"]
    data: list[ModelDocument]


HEARTBEAT = b": the work goes on\n\n"
"""A comment, which clients skip (HTML Living Standard §9.2.6): OpenAI's streams have no event for it."""


def json(transcript: Transcript) -> str:
    """Write the answer in `json`."""
    return line(TranscriptionDocument(text=transcript.text, usage=usage(transcript)))


def delta(number: int, segment: Segment) -> bytes:
    """Write the text of a segment; the first, number 0, begins without white space, as the whole text does."""
    text = segment.text if number else segment.text.lstrip()
    return _event(DeltaEvent(type="transcript.text.delta", delta=text))


def done(transcript: Transcript) -> bytes:
    """Write the whole text."""
    return _event(DoneEvent(type="transcript.text.done", text=transcript.text))


def stream_failure(sentence: str, *, code: str) -> bytes:
    """Write why no more will come, in the form at which OpenAI's client raises its `APIError`."""
    return _event(_failure(sentence, code=code, status=500))


def failure(sentence: str, *, code: str, status: int) -> str:
    """Write why there is no transcript.

    Args:
        sentence: What went wrong, for the caller.
        code: The failure's stable slug.
        status: The answer's status, which tells whose fault it is.
    """
    return sendable(line(_failure(sentence, code=code, status=status)))


def models(name: str, *, created_s: int) -> str:
    """Write the list of models, of which there is one.

    Args:
        name: The model's.
        created_s: Since when it is served, in seconds since 1970.
    """
    model = ModelDocument(id=name, object="model", created=created_s, owned_by="this container")
    return line(ModelsDocument(object="list", data=[model]))


def _failure(sentence: str, *, code: str, status: int) -> FailureDocument:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return FailureDocument(error=FailureReason(message=sentence, type=kind, param=None, code=code))


def _event(record: Mapping[str, object]) -> bytes:
    return b"data: %s\n\n" % sendable(line(record)).strip().encode()
