"""The one kind of file that needs no decoder: WAVE whose samples already are what models hear."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from transcriber.audio.waveform import RATE_HZ

PLAIN = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
"""How the `fmt ` chunk of PCM, mono, 16 kHz, 16 bit begins (Multimedia Programming Interface 1.0, chapter 3)."""

UNKNOWN_SIZES = (0, 0xFFFFFFFF)
"""What stands for the length of the sound in files that were written to a pipe: all that follows is sound."""

MOST_CHUNKS = 64
"""Chunks looked at before the file is left to the decoder; real files have fewer than ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a file.

    Attributes:
        offset: Where it begins, in bytes.
        size_bytes: Its length; it lies within the file.
    """

    offset: int
    size_bytes: int


def find_plain_pcm(file: BinaryIO) -> Stretch | None:
    """Return where the samples of a plain WAVE file lie; None for every other file.

    Chunks of other kinds may stand anywhere. A file that ends early has the samples that are there. Files with two
    chunks of sound are left to the decoder.

    Args:
        file: Seekable; left at any position.
    """
    end = file.seek(0, 2)
    file.seek(0)
    opening = file.read(12)
    if opening[:4] != b"RIFF" or opening[8:] != b"WAVE":
        return None
    plain, found = False, None
    for _ in range(MOST_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return found
        kind, size = struct.unpack("<4sI", header)
        offset = file.tell()
        if kind == b"fmt ":
            if plain or size < len(PLAIN) or file.read(len(PLAIN)) != PLAIN:
                return None
            plain = True
        elif kind == b"data":
            if not plain or found:
                return None
            if size in UNKNOWN_SIZES:
                return _whole_samples(offset, end - offset)
            found = _whole_samples(offset, min(size, end - offset))
        file.seek(offset + size + size % 2)  # odd chunks are padded
    return None


def _whole_samples(offset: int, size_bytes: int) -> Stretch:
    return Stretch(offset=offset, size_bytes=size_bytes - size_bytes % 2)
