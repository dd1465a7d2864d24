"""The only audio that travels between rooms: mono, 16 kHz, 16 bit; a whole recording, or block by block."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
"""Samples per second; what Whisper, Parakeet, Voxtral and Silero are all trained on."""

Pcm = npt.NDArray[np.int16]
"""Shape (samples,), full scale 32,768."""

Samples = npt.NDArray[np.float32]
"""Shape (samples,), full scale 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waveform:
    """A whole recording, kept at 2 bytes a sample so that an hour takes 115 MB, not 230.

    Requests never hold one: they listen block by block. It is for measurements and tests, which compare.
    """

    pcm: Pcm

    def __post_init__(self) -> None:
        if self.pcm.dtype != np.int16 or self.pcm.ndim != 1:
            raise ValueError(f"a waveform is one row of int16, not {self.pcm.dtype} of shape {self.pcm.shape}")

    def __len__(self) -> int:
        return int(self.pcm.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self) / RATE_HZ

    def samples(self, start: int = 0, stop: int | None = None) -> Samples:
        """Return samples [start, stop) as floats in [-1, 1), in an array of their own."""
        return floats_of(self.pcm[start:stop])


def floats_of(pcm: Pcm) -> Samples:
    """Return samples as floats in [-1, 1), in an array of their own."""
    return pcm.astype(np.float32) / np.float32(32768.0)
