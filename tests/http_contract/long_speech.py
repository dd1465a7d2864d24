"""Recordings that take the demo model longer than any test does."""

from __future__ import annotations

import io
import wave
from functools import cache

import av
import numpy as np

from tests.conftest import DATA
from transcriber.audio.waveform import RATE_HZ


@cache
def two_minutes() -> bytes:
    """Return the samples of the sample recording, 16 kHz, 16 bits, mono."""
    with av.open(str(DATA / "two-minutes.flac")) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        frames = [*container.decode(audio=0), None]
        blocks = [block.to_ndarray() for frame in frames for block in resampler.resample(frame)]
    pcm: bytes = np.concatenate(blocks, axis=1).astype("<i2").tobytes()
    return pcm


def wav_of_speech(times: int) -> bytes:
    """Say the two minutes so many times, as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        sound.writeframes(two_minutes() * times)
    return file.getvalue()
