from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.sound_files import chunk, fmt, noise, riff
from transcriber.audio.riff import MOST_CHUNKS, Stretch, find_plain_pcm

PCM = noise(100)


def found(file: bytes) -> bytes | None:
    stretch = find_plain_pcm(io.BytesIO(file))
    return None if stretch is None else file[stretch.offset : stretch.offset + stretch.size_bytes]


def test_samples_of_a_plain_file_are_found() -> None:
    assert find_plain_pcm(io.BytesIO(riff(fmt(), chunk(b"data", PCM)))) == Stretch(offset=44, size_bytes=200)


@given(
    before=st.lists(st.binary(max_size=9), max_size=3),
    between=st.lists(st.binary(max_size=9), max_size=3),
    after=st.lists(st.binary(max_size=9), max_size=3),
    samples=st.integers(1, 50),
)
def test_other_chunks_of_any_length_are_stepped_over(
    before: list[bytes], between: list[bytes], after: list[bytes], samples: int
) -> None:
    pcm = noise(samples)
    others = [[chunk(b"LIST", body) for body in bodies] for bodies in (before, between, after)]

    assert found(riff(*others[0], fmt(), *others[1], chunk(b"data", pcm), *others[2])) == pcm


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, len(PCM) + 1])
def test_a_claim_beyond_the_file_means_all_there_is(claimed: int) -> None:
    assert found(riff(fmt(), chunk(b"data", PCM, size=claimed))) == PCM


@pytest.mark.parametrize("cut", [1, 2, 3, 99, 199])
def test_a_file_that_ends_early_has_the_whole_samples_that_are_there(cut: int) -> None:
    left = len(PCM) - cut

    assert found(riff(fmt(), chunk(b"data", PCM))[:-cut]) == PCM[: left - left % 2]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"RIFF",
        riff(),
        riff(fmt()),
        riff(fmt())[:30],
        riff(chunk(b"data", PCM)),
        riff(chunk(b"data", PCM), fmt()),
        riff(fmt(), fmt(), chunk(b"data", PCM)),
        riff(fmt(), chunk(b"data", PCM), chunk(b"data", PCM)),
        riff(fmt(tag=3), chunk(b"data", PCM)),
        riff(fmt(tag=0xFFFE), chunk(b"data", PCM)),
        riff(fmt(channels=2), chunk(b"data", PCM)),
        riff(fmt(rate_hz=8_000), chunk(b"data", PCM)),
        riff(fmt(bits=24), chunk(b"data", PCM)),
        riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", PCM)),
        b"RIFX" + riff(fmt(), chunk(b"data", PCM))[4:],
        riff(fmt(), chunk(b"data", PCM)).replace(b"WAVE", b"AVI "),
    ],
)
def test_every_other_file_is_left_to_the_decoder(file: bytes) -> None:
    assert found(file) is None


def test_the_walk_over_chunks_is_bounded() -> None:
    assert found(riff(*[chunk(b"junk", b"")] * MOST_CHUNKS, fmt(), chunk(b"data", PCM))) is None
