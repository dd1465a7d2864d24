"""Base64 or hexadecimal digits inside JSON -> bytes."""

from __future__ import annotations

import binascii
import re

from transcriber.audio.sources import InlineBytes
from transcriber.errors import MalformedRequest, NotAudio

_DATA_URL = re.compile(r"data:([a-z0-9.+-]+/[a-z0-9.+-]+)?(;[^;,]{1,100}){0,9}?;base64,", re.IGNORECASE | re.ASCII)
"""RFC 2397, with base64 only. The media type is not believed, so that `data:application/octet-stream` is fine too."""

_NO_HEX = re.compile(r"[^0-9A-Fa-f\s]", re.ASCII)
_WHITE_SPACE = " \t\r\n"


def decode(text: str, *, field: str = "audio_b64") -> InlineBytes:
    """Decode base64 (RFC 4648 §4), with or without a data URL's head.

    White space and line breaks are skipped. The URL-safe alphabet and missing padding are refused: what is cut short
    in transit looks like that.

    Args:
        text: The field's value.
        field: Its name, for messages.

    Raises:
        NotAudio: It holds no bytes.
        MalformedRequest: It is not base64.
    """
    head = _DATA_URL.match(text)
    if head is None and text[:5].lower() == "data:":
        raise MalformedRequest(f"'{field}' begins like a data URL, but must begin with data:audio/<type>;base64,")
    # Each step copies up to a hundred megabytes, so only what is needed is done.
    digits = text[head.end() :] if head else text
    if any(space in digits for space in _WHITE_SPACE):
        digits = "".join(digits.split())
    try:
        data = binascii.a2b_base64(digits, strict_mode=True)
    except ValueError as error:
        raise MalformedRequest(f"'{field}' is not base64: {_reason(digits)}") from error
    if not data:
        raise NotAudio(f"'{field}' is empty; send the bytes of an audio file in base64")
    return InlineBytes(data=data)


def decode_hex(text: str, *, field: str) -> InlineBytes:
    """Decode hexadecimal digits, two to a byte, in either case.

    Args:
        text: The field's value. White space between bytes is skipped.
        field: Its name, for messages.

    Raises:
        NotAudio: It holds no bytes.
        MalformedRequest: It is not hexadecimal, or a digit is missing.
    """
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        stranger = _NO_HEX.search(text)
        reason = (
            f"character {stranger.start() + 1:,} is {stranger.group()!a}, and the digits are 0 to 9 and a to f"
            if stranger
            else f"its {len(text):,} characters are no whole number of bytes, which have two digits each"
        )
        raise MalformedRequest(f"'{field}' is not hexadecimal: {reason}") from error
    if not data:
        raise NotAudio(f"'{field}' is empty; send the bytes of an audio file in hexadecimal digits")
    return InlineBytes(data=data)


def _reason(digits: str) -> str:
    if re.search(r"[-_]", digits) and not re.search(r"[^A-Za-z0-9_=-]", digits):
        return "it is in the URL-safe alphabet, but must use + and /"
    if re.search(r"[^A-Za-z0-9+/=]", digits):
        return "it holds characters other than letters, digits, + and /"
    return f"its {len(digits)} characters are cut short or badly padded with ="
