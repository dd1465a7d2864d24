"""What a container's answer says: the text and its facts, or the sentence of a failure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fleet.aws import sentence

FACTLESS = frozenset({"text", "srt", "vtt"})
"""Forms of the answer that carry nothing but the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a recording from its transcript; None where the form of the answer does not tell.

    Attributes:
        duration_s: Length of the recording.
        language: Code or English name of its language.
    """

    text: str
    duration_s: float | None = None
    language: str | None = None


def facts_of(body: bytes) -> Facts:
    """Read an answer in any of the container's forms."""
    text = body.decode(errors="replace")
    document = _object(text)
    if document is None or not isinstance(document.get("text"), str):
        return Facts(text=text.strip())
    duration, language = document.get("duration"), document.get("detected_language", document.get("language"))
    return Facts(
        text=str(document["text"]).strip(),
        duration_s=float(duration) if isinstance(duration, int | float) else None,
        language=language if isinstance(language, str) else None,
    )


def failure_of(body: bytes) -> str:
    """Return the sentence of a failure: the container's own, or whatever somebody else wrote; empty if nothing."""
    text = body.decode(errors="replace")
    document = _object(text)
    said = document.get("error") if document else None
    return sentence(said if isinstance(said, str) else text)


def _object(text: str) -> dict[str, object] | None:
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
