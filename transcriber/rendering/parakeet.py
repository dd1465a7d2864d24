"""The answer of the container for Parakeet: the text, and the timestamps that NeMo's `transcribe` gives."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from transcriber.rendering.documents import line, seconds
from transcriber.rendering.timestamps import milliseconds
from transcriber.transcript import Transcript

FRAME_MS = 80
"""What NeMo's offsets count: a feature each 10 ms, eight of which become one frame of the encoder."""


class WordStamp(TypedDict):
    """A word; times in seconds, offsets in frames of `FRAME_MS`."""

    word: str
    start_offset: int
    end_offset: int
    start: float
    end: float


class SegmentStamp(TypedDict):
    """A segment; times in seconds, offsets in frames of `FRAME_MS`."""

    segment: str
    start_offset: int
    end_offset: int
    start: float
    end: float


class Timestamps(TypedDict):
    """All of them. Characters have none here; the list is there, and empty, for those who go through it."""

    word: list[WordStamp]
    segment: list[SegmentStamp]
    char: list[object]


class ParakeetDocument(TypedDict):
    """The answer."""

    text: str
    timestamps: NotRequired[Timestamps]


def json(transcript: Transcript, *, with_timestamps: bool) -> str:
    """Write the answer."""
    document = ParakeetDocument(text=transcript.text)
    if with_timestamps:
        document["timestamps"] = Timestamps(
            word=[
                WordStamp(
                    word=word.text.strip(),
                    start_offset=_frames(word.start_s),
                    end_offset=_frames(word.end_s),
                    start=seconds(word.start_s),
                    end=seconds(word.end_s),
                )
                for segment in transcript.segments
                for word in segment.words or ()
            ],
            segment=[
                SegmentStamp(
                    segment=segment.text.strip(),
                    start_offset=_frames(segment.start_s),
                    end_offset=_frames(segment.end_s),
                    start=seconds(segment.start_s),
                    end=seconds(segment.end_s),
                )
                for segment in transcript.segments
            ],
            char=[],
        )
    return line(document)


def _frames(exact_s: float) -> int:
    return round(milliseconds(exact_s) / FRAME_MS)
