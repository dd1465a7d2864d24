"""Recordings that something has happened to: the same number makes the same file, on every machine."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.conftest import DATA

LONGEST_BYTES = 400_000
"""Recordings above this are left out: a file twice as long finds nothing more, and takes twice as long."""

MOST_STEPS = 4
HEAD_BYTES = 512
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
"""Numbers where lengths, counts and rates tip over."""

MAGIC = (
    b"RIFF",
    b"WAVE",
    b"fmt ",
    b"data",
    b"ID3\x04",
    b"fLaC",
    b"OggS",
    b"ftypM4A ",
    b"moov",
    b"mdat",
    b"stsz",
    b"esds",
)
MAGIC += (
    b"\x1aE\xdf\xa3",
    b"OpusHead",
    b"\xff\xfb\x90\x00",
    b"#!AMR\n",
    b"FORM",
    b"caff",
    b"RF64",
    b"LIST",
    b"0&\xb2u",
)

Step = Callable[[bytearray, random.Random], bytearray]


@dataclass(frozen=True, slots=True)
class Mutated:
    """A damaged file, and how it came about.

    Attributes:
        story: The recording's name and the steps, for whoever looks into it.
    """

    content: bytes
    story: str


def mutated(seed: int) -> Mutated:
    """Return the file of this number: a recording after one to four accidents."""
    chance = random.Random(seed)
    name, content = chance.choice(_recordings())
    file = bytearray(content)
    steps = chance.choices(STEPS, k=chance.randint(1, MOST_STEPS))
    for step in steps:
        file = step(file, chance)
    return Mutated(bytes(file), f"seed {seed}: {name} after {', '.join(step.__name__ for step in steps)}")


@cache
def _recordings() -> tuple[tuple[str, bytes], ...]:
    files = sorted(path for path in DATA.iterdir() if path.suffix != ".jsonl" and path.stat().st_size <= LONGEST_BYTES)
    return tuple((path.name, path.read_bytes()) for path in files)


def flip_bits(file: bytearray, chance: random.Random) -> bytearray:
    """Single bits, anywhere."""
    for _ in range(min(len(file), chance.choice((1, 2, 8, 64, 512)))):
        file[chance.randrange(len(file))] ^= 1 << chance.randrange(8)
    return file


def flip_bits_of_the_head(file: bytearray, chance: random.Random) -> bytearray:
    """Single bits where the container describes itself."""
    for _ in range(min(len(file), chance.choice((1, 2, 4, 16)))):
        file[chance.randrange(min(len(file), HEAD_BYTES))] ^= 1 << chance.randrange(8)
    return file


def cut_the_end(file: bytearray, chance: random.Random) -> bytearray:
    """An upload that broke off."""
    return file[: chance.randrange(len(file) + 1)]


def cut_the_beginning(file: bytearray, chance: random.Random) -> bytearray:
    return file[chance.randrange(len(file) + 1) :]


def cut_a_piece_out(file: bytearray, chance: random.Random) -> bytearray:
    start, stop = sorted(chance.randrange(len(file) + 1) for _ in range(2))
    return file[:start] + file[stop:]


def repeat_a_piece(file: bytearray, chance: random.Random) -> bytearray:
    start, stop = sorted(chance.randrange(len(file) + 1) for _ in range(2))
    at = chance.randrange(len(file) + 1)
    return (file[:at] + file[start:stop] * chance.randint(1, 3) + file[at:])[: 2 * LONGEST_BYTES]


def swap_the_container(file: bytearray, chance: random.Random) -> bytearray:
    """The head of another recording before the rest of this one."""
    _name, other = chance.choice(_recordings())
    head = chance.choice((4, 12, 44, 128, 1024, 4096))
    return bytearray(other[:head]) + file[chance.choice((0, head)) :]


def splice_another(file: bytearray, chance: random.Random) -> bytearray:
    """A stretch of another recording in the middle."""
    _name, other = chance.choice(_recordings())
    start, stop = sorted(chance.randrange(len(other) + 1) for _ in range(2))
    at = chance.randrange(len(file) + 1)
    return (file[:at] + other[start:stop] + file[at:])[: 2 * LONGEST_BYTES]


def lie_about_a_number(file: bytearray, chance: random.Random) -> bytearray:
    """A length, count or rate of the head becomes one of the numbers where things tip over."""
    form = chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q", "B"))
    size = struct.calcsize(form)
    number = chance.choice(INTERESTING) & (256**size - 1)
    for _ in range(chance.choice((1, 1, 3))):
        if len(file) >= size:
            struct.pack_into(form, file, chance.randrange(min(len(file), HEAD_BYTES) - size + 1), number)
    return file


def lie_about_a_length(file: bytearray, chance: random.Random) -> bytearray:
    """The number beside the name of a chunk or an atom, wherever one stands."""
    found = [(at, magic) for magic in MAGIC if (at := file.find(magic)) >= 0]
    if not found:
        return file
    at, magic = chance.choice(found)
    form = chance.choice(("<I", ">I"))
    place = chance.choice((at + len(magic), at - 4))
    if 0 <= place <= len(file) - 4:
        struct.pack_into(form, file, place, chance.choice((*INTERESTING, len(file) * 2, chance.randrange(2**32))))
    return file


def write_magic(file: bytearray, chance: random.Random) -> bytearray:
    """A word that a demuxer looks for, where it does not belong."""
    magic = chance.choice(MAGIC)
    at = chance.randrange(len(file) + 1)
    file[at : at + len(magic)] = magic
    return file


def blank_a_stretch(file: bytearray, chance: random.Random) -> bytearray:
    """A hole of zeros or ones, as a bad disk leaves it."""
    start, stop = sorted(chance.randrange(len(file) + 1) for _ in range(2))
    file[start:stop] = bytes([chance.choice((0, 255))]) * (stop - start)
    return file


def write_noise(file: bytearray, chance: random.Random) -> bytearray:
    start, stop = sorted(chance.randrange(len(file) + 1) for _ in range(2))
    stop = min(stop, start + chance.choice((16, 256, 4096)))
    file[start:stop] = chance.randbytes(stop - start)
    return file


STEPS: tuple[Step, ...] = (
    flip_bits,
    flip_bits_of_the_head,
    cut_the_end,
    cut_the_beginning,
    cut_a_piece_out,
    repeat_a_piece,
    swap_the_container,
    splice_another,
    lie_about_a_number,
    lie_about_a_length,
    write_magic,
    blank_a_stretch,
    write_noise,
)
