"""A transcript piece by piece: one record for each segment as soon as it is final, and a last one with the totals.

A record is a JSON object whose `type` says what it is. As JSON lines each stands on a line of its own; as an event
stream (HTML Living Standard §9.2) it is the data of an event of that name. OpenAI's stream has records of its own
(`rendering/openai.py`). The parts in which SageMaker hands a stream on may be cut anywhere, so a reader joins them and
looks for line ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict, assert_never

from transcriber.options import StreamFormat
from transcriber.rendering import openai
from transcriber.rendering.documents import WordDocument, segment_document, transcript_document
from transcriber.transcript import Segment, Transcript


class SegmentRecord(TypedDict):
    """A segment; times in seconds, text without white space at its ends."""

    type: Literal["segment"]
    id: int
    start: float
    end: float
    text: str
    words: NotRequired[list[WordDocument]]


class DoneRecord(TypedDict):
    """The last record of a stream that succeeded: what the answer in one piece says, without the segments."""

    type: Literal["done"]
    text: str
    detected_language: str | None
    language_probability: float
    duration: float
    n_segments: int


class ErrorRecord(TypedDict):
    """The last record of a stream that failed after it had begun, when the status can no longer say so."""

    type: Literal["error"]
    error: str
    code: str


class HeartbeatRecord(TypedDict):
    """Nothing new; keeps the connection from being taken for dead."""

    type: Literal["heartbeat"]


def segment(number: int, segment: Segment, *, with_words: bool, form: StreamFormat) -> bytes:
    """Write the segment of that number, counted from 0."""
    if form is StreamFormat.OPENAI:
        return openai.delta(number, segment)
    document = segment_document(segment, with_words=with_words)
    return _record(SegmentRecord(type="segment", id=number, **document), form)


def done(transcript: Transcript, form: StreamFormat) -> bytes:
    """Write the totals."""
    if form is StreamFormat.OPENAI:
        return openai.done(transcript)
    document = transcript_document(transcript)
    return _record(
        DoneRecord(
            type="done",
            text=document["text"],
            detected_language=document["detected_language"],
            language_probability=document["language_probability"],
            duration=document["duration"],
            n_segments=len(transcript.segments),
        ),
        form,
    )


def error(sentence: str, *, code: str, form: StreamFormat) -> bytes:
    """Write why no more will come; `code` is the failure's stable slug."""
    if form is StreamFormat.OPENAI:
        return openai.stream_failure(sentence, code=code)
    return _record(ErrorRecord(type="error", error=sentence, code=code), form)


def heartbeat(form: StreamFormat) -> bytes:
    """Write that the work goes on."""
    if form is StreamFormat.OPENAI:
        return openai.HEARTBEAT
    return _record(HeartbeatRecord(type="heartbeat"), form)


def _record(record: Mapping[str, object], form: StreamFormat) -> bytes:
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")
    match form:
        case StreamFormat.JSON_LINES:
            return line + b"\n"
        case StreamFormat.EVENTS | StreamFormat.OPENAI:
            return b"event: %s\ndata: %s\n\n" % (str(record["type"]).encode(), line)
        case _:
            assert_never(form)
