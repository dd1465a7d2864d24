"""The closed table of forms: what a transcript can be written as, and under which media type."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import assert_never

from transcriber.options import Dialect, ResponseFormat, StreamFormat
from transcriber.rendering import documents, hugging_face, jumpstart, openai, parakeet, subtitles, voxtral
from transcriber.transcript import Transcript

MEDIA_TYPES = MappingProxyType(
    {
        # JSON is UTF-8 and its media type knows no charset (RFC 8259 §11).
        ResponseFormat.JSON: "application/json",
        ResponseFormat.VERBOSE_JSON: "application/json",
        ResponseFormat.TEXT: "text/plain; charset=utf-8",
        ResponseFormat.SRT: "application/x-subrip; charset=utf-8",
        ResponseFormat.VTT: "text/vtt; charset=utf-8",
    }
)


STREAM_MEDIA_TYPES = MappingProxyType(
    {
        StreamFormat.JSON_LINES: "application/jsonlines",
        # An event stream is UTF-8 always (HTML Living Standard §9.2.5).
        StreamFormat.EVENTS: "text/event-stream",
        StreamFormat.OPENAI: "text/event-stream",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """An answer, ready to be sent.

    Attributes:
        body: UTF-8.
        media_type: What goes into Content-Type.
    """

    body: bytes
    media_type: str


def render(
    transcript: Transcript,
    *,
    format: ResponseFormat,  # noqa: A002 - the name that callers and the wire use
    with_segments: bool,
    with_words: bool,
    dialect: Dialect = Dialect.OWN,
) -> Rendered:
    """Write a transcript in one of the forms.

    Args:
        transcript: The whole recording.
        format: The form.
        with_segments: Whether the two JSON forms carry segments; the others are not asked.
        with_words: Whether the two JSON forms carry words; the others are not asked.
        dialect: Whose shape `json` has; the other forms look alike in all of them.
    """
    match format:
        case ResponseFormat.JSON:
            text = _json(transcript, dialect, with_segments=with_segments, with_words=with_words)
        case ResponseFormat.VERBOSE_JSON:
            text = documents.verbose_json(transcript, with_segments=with_segments, with_words=with_words)
        case ResponseFormat.TEXT:
            text = documents.text(transcript)
        case ResponseFormat.SRT:
            text = subtitles.srt(subtitles.cues_of(transcript.segments))
        case ResponseFormat.VTT:
            text = subtitles.vtt(subtitles.cues_of(transcript.segments))
        case _:
            assert_never(format)
    return Rendered(body=text.encode(), media_type=MEDIA_TYPES[format])


def _json(transcript: Transcript, dialect: Dialect, *, with_segments: bool, with_words: bool) -> str:
    match dialect:
        case Dialect.OWN:
            return documents.json(transcript, with_segments=with_segments, with_words=with_words)
        case Dialect.OPENAI:
            return openai.json(transcript)
        case Dialect.JUMPSTART:
            return jumpstart.json(transcript)
        case Dialect.HUGGING_FACE:
            return hugging_face.json(transcript, with_segments=with_segments, with_words=with_words)
        case Dialect.VOXTRAL:
            return voxtral.json(transcript)
        case Dialect.PARAKEET:
            return parakeet.json(transcript, with_timestamps=with_segments)
        case _:
            assert_never(dialect)
