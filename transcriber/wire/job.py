"""What every dialect is turned into."""

from __future__ import annotations

from dataclasses import dataclass

from transcriber.audio.sources import Source
from transcriber.options import Dialect, ResponseFormat, StreamFormat, TranscriptionOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The form of the answer.

    Attributes:
        format: One of the closed set of forms.
        with_segments: Whether the two JSON forms carry segments; the others are not asked.
        with_words: Whether the two JSON forms carry words; the others are not asked.
        stream: How to send segments as they become final; None to send all in one piece.
        dialect: Whose shape the JSON forms have.
    """

    format: ResponseFormat
    with_segments: bool
    with_words: bool
    stream: StreamFormat | None = None
    dialect: Dialect = Dialect.OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the operator decided for callers who say nothing."""

    vad_filter: bool
    return_segments: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request, understood: where the audio is, what to do, how to answer."""

    source: Source
    options: TranscriptionOptions
    answer: Answer
