"""The Accept header -> the form of the answer (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

from transcriber.errors import UnacceptableFormat
from transcriber.options import ResponseFormat, StreamFormat

Form = ResponseFormat | StreamFormat

MEDIA_TYPES: MappingProxyType[str, Form] = MappingProxyType(
    {
        "application/json": ResponseFormat.JSON,
        "text/plain": ResponseFormat.TEXT,
        "application/x-subrip": ResponseFormat.SRT,
        "text/srt": ResponseFormat.SRT,
        "text/vtt": ResponseFormat.VTT,
        "application/json;profile=verbose": ResponseFormat.VERBOSE_JSON,
        "application/jsonlines": StreamFormat.JSON_LINES,
        "application/x-ndjson": StreamFormat.JSON_LINES,
        "text/event-stream": StreamFormat.EVENTS,
    }
)
"""What a caller may name -> what is answered; a wildcard means the first that it covers."""

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """One element of the header."""

    media: str
    quality: float

    @property
    def is_wildcard(self) -> bool:
        return self.media.endswith("/*")

    def forms(self) -> list[Form]:
        """List the forms it covers."""
        if not self.is_wildcard:
            return [MEDIA_TYPES[self.media]] if self.media in MEDIA_TYPES else []
        family = "" if self.media == "*/*" else self.media.removesuffix("*")
        return [form for media, form in MEDIA_TYPES.items() if media.startswith(family)]


def negotiate(accept: str | None) -> Form:
    """Choose the form that the caller likes best.

    The highest quality wins, then a named form before a wildcard, then the caller's order. Elements that cannot be
    understood, and parameters other than `q` and `profile`, count for nothing.

    Args:
        accept: The header; None or blank when there was none, which means JSON.

    Raises:
        UnacceptableFormat: None of the caller's forms can be given.

    Example:
        >>> negotiate("text/html, text/vtt;q=0.9, */*;q=0.1")
        <ResponseFormat.VTT: 'vtt'>
    """
    if accept is None or not accept.strip(" \t,"):
        return ResponseFormat.JSON
    ranges = [_range_of(element) for element in accept.lower().split(",")]
    refused = {form for it in ranges if it.quality == 0 and not it.is_wildcard for form in it.forms()}
    choices = [
        (it.quality, not it.is_wildcard, form)
        for it in ranges
        if it.quality > 0
        for form in it.forms()
        if form not in refused
    ]
    if choices:
        # max keeps the first of equals.
        return max(choices, key=lambda choice: choice[:2])[2]
    raise UnacceptableFormat(
        f"Accept is {accept.strip()[:60]!r}, but the answer can only be application/json, text/plain, "
        "application/x-subrip, text/vtt or application/json;profile=verbose, or a stream: application/jsonlines or "
        "text/event-stream"
    )


def stream_of(accept: str | None) -> StreamFormat:
    """Choose the stream for a caller who asked for one in the body: events if they are accepted, else JSON lines."""
    ranges = [_range_of(element) for element in (accept or "").lower().split(",")]
    wants_events = any(it.media == "text/event-stream" and it.quality > 0 for it in ranges)
    return StreamFormat.EVENTS if wants_events else StreamFormat.JSON_LINES


def _range_of(element: str) -> _Range:
    """Read `type/subtype; parameter=value; q=0.5`; an ill-formed quality makes it 0."""
    media, *parameters = (part.strip() for part in element.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = (part.strip().strip('"') for part in parameter.partition("="))
        if name == "q":
            quality = float(value) if _QUALITY.fullmatch(value) else 0.0
        elif name == "profile" and media == "application/json" and value == "verbose":
            media += ";profile=verbose"
    return _Range(media=media, quality=quality)
