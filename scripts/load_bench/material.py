"""The recordings that are sent under load: cut out of one, their windows counted as the container counts them."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from fleet.load.errors import CannotMeasure
from fleet.load.plan import Recording
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ, Pcm, Waveform
from transcriber.vad.spans import spans_of
from transcriber.vad.speech import SpeechDetector
from transcriber.vad.windows import passages_of

SOURCE = Path(__file__).resolve().parents[2] / "tests" / "data" / "two-minutes.flac"

CUTS = 8
"""Different recordings of each length, sent in rotation."""

LONG_TIMES = 5
"""The ten-minute recording is the two-minute one so many times over."""

WINDOW_S = 30


class Cutter:
    """Cuts recordings out of the two-minute one, and counts the windows of each as the container does."""

    def __init__(self) -> None:
        """Decode it."""
        with SOURCE.open("rb") as file:
            self._pcm = decode(file, limit_s=600).pcm
        self._speech = SpeechDetector()

    def cuts(self, length_s: int) -> tuple[Recording, ...]:
        """Return different recordings of one length; each holds speech."""
        length = length_s * RATE_HZ
        if length > len(self._pcm):
            raise CannotMeasure(f"recordings of {length_s} s cannot be cut out of {len(self._pcm) // RATE_HZ} s")
        starts = np.linspace(0, len(self._pcm) - length, CUTS, dtype=int)
        pieces = [self._pcm[start : start + length] for start in starts]
        return tuple(_recording(piece, windows=self._windows(piece)) for piece in pieces)

    def long(self) -> Recording:
        """Return the ten-minute recording; nobody counts its windows, so they need not be exact."""
        return _recording(np.tile(self._pcm, LONG_TIMES), windows=LONG_TIMES * self._windows(self._pcm))

    def _windows(self, pcm: Pcm) -> int:
        probabilities = self._speech.probabilities_of(Waveform(pcm=pcm))
        spans = tuple(spans_of(probabilities, length_samples=len(pcm)))
        return len(passages_of(spans, probabilities, limit_samples=WINDOW_S * RATE_HZ))


def _recording(pcm: Pcm, *, windows: int) -> Recording:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        sound.writeframes(pcm.astype("<i2").tobytes())
    return Recording(body=file.getvalue(), duration_s=len(pcm) / RATE_HZ, windows=windows)
