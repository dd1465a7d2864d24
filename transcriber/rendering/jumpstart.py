"""The answer of JumpStart's Whisper containers."""

from __future__ import annotations

from typing import TypedDict

from transcriber.rendering.documents import line
from transcriber.transcript import Transcript


class JumpStartDocument(TypedDict):
    """The text, in a list of one: `num_return_sequences` could ask for more there."""

    text: list[str]


def json(transcript: Transcript) -> str:
    """Write the answer."""
    return line(JumpStartDocument(text=[transcript.text]))
