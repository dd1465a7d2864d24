"""The answer of transformers' pipeline for speech, which Hugging Face's containers hand on."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from transcriber.rendering.documents import line, seconds
from transcriber.transcript import Transcript


class Chunk(TypedDict):
    """A segment or a word, with the space before it; `timestamp` is its start and its end in seconds."""

    text: str
    timestamp: tuple[float, float]


class HuggingFaceDocument(TypedDict):
    """The answer. As in the pipeline, the text begins with the space that Whisper writes, and chunks join to it."""

    text: str
    chunks: NotRequired[list[Chunk]]


def json(transcript: Transcript, *, with_segments: bool, with_words: bool) -> str:
    """Write the answer; words go before segments."""
    document = HuggingFaceDocument(text="".join(segment.text for segment in transcript.segments))
    if with_words:
        document["chunks"] = [
            Chunk(text=word.text, timestamp=(seconds(word.start_s), seconds(word.end_s)))
            for segment in transcript.segments
            for word in segment.words or ()
        ]
    elif with_segments:
        document["chunks"] = [
            Chunk(text=segment.text, timestamp=(seconds(segment.start_s), seconds(segment.end_s)))
            for segment in transcript.segments
        ]
    return line(document)
