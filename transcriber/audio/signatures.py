"""What bytes look like, in the words a caller uses: only for messages, never to decide how to decode."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES = 512
"""How much of a file is looked at: enough for every signature below, and for telling text from noise."""

OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypheic", "a HEIC picture"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"MThd", "a MIDI file, which holds notes"),
    (0, b"#EXTM3U", "a playlist, which only names other files"),
    (0, b"ffconcat", "a playlist, which only names other files"),
    (0, b"v=0", "a session description, which only names other addresses"),
)
"""Files without sound: offset, bytes there, name."""

SOUNDS: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "a WAV file"),
    (8, b"AVI ", "an AVI video"),
    (0, b"fLaC", "a FLAC file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (4, b"ftyp", "an MP4, M4A or MOV file"),
    (0, b"ID3", "an MP3 file"),
    (0, b"\xff\xfb", "an MP3 file"),
    (0, b"\xff\xf3", "an MP3 file"),
    (0, b"\xff\xf1", "an AAC file"),
    (0, b"\xff\xf9", "an AAC file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"FORM", "an AIFF file"),
    (0, b"caff", "a CAF file"),
    (0, b".snd", "an AU file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMA or WMV file"),
)
"""Files with sound: offset, bytes there, name."""

BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
"""Base64 of a recording's beginning; prose has a full stop or a comma sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """What a file looks like; as a string, what follows "the file" in a sentence.

    Attributes:
        name: With its article; None when nothing gives it away.
        holds_sound: Whether files of that kind can be expected to hold sound.
    """

    name: str | None
    holds_sound: bool

    def __str__(self) -> str:
        return f"looks like {self.name}" if self.name else "is of no kind known here"


def likeness_of(head: bytes) -> Likeness:
    """Say what the file that begins with `head` looks like.

    Example:
        >>> str(likeness_of(b"%PDF-1.7 ..."))
        'looks like a PDF document'
    """
    for signatures in (OTHERS, SOUNDS):
        for offset, magic, name in signatures:
            if head.startswith(magic, offset):
                return Likeness(name=name, holds_sound=signatures is SOUNDS)
    return Likeness(name=_kind_of_text(head) if _is_text(head) else None, holds_sound=False)


def _is_text(head: bytes) -> bool:
    text = head.decode("utf-8", errors="ignore")
    cut_off = len(head) - len(text.encode()) <= 3  # a character of up to 4 bytes may be cut in two at the end
    return bool(text) and cut_off and all(letter.isprintable() or letter.isspace() for letter in text.lstrip("\ufeff"))


def _kind_of_text(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in (b"{", b"["):
        return "JSON"
    if start[:1] == b"<":
        return "HTML or XML"
    if BASE64.fullmatch(head):
        return "base64 text, which belongs into the field audio_b64 of a JSON body"
    return "text"
