"""The answer of AWS's container for Voxtral."""

from __future__ import annotations

from typing import TypedDict

from transcriber.rendering.documents import line, seconds
from transcriber.transcript import Transcript


class TranscriptionDocument(TypedDict):
    """The text, the language's code, and the recording's length in seconds."""

    text: str
    language: str | None
    duration: float


class VoxtralDocument(TypedDict):
    """The answer."""

    transcription: TranscriptionDocument


def json(transcript: Transcript) -> str:
    """Write the answer; the language is null for silence."""
    document = TranscriptionDocument(
        text=transcript.text, language=transcript.language, duration=seconds(transcript.duration_s)
    )
    return line(VoxtralDocument(transcription=document))
