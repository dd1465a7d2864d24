"""Sounds and probabilities to try speech detection on, made by arithmetic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ, Waveform
from transcriber.vad.spans import HOP_SAMPLES, Probabilities

VOWELS_HZ = np.array([[730, 1090, 2440], [270, 2290, 3010], [300, 870, 2240], [530, 1840, 2480]])
"""Formants of "ah", "ee", "oo", "eh" (Peterson and Barney 1952, men)."""

VOWELS_PER_S = 5


def murmur(duration_s: float, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Make vowels that Silero takes for speech."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    vowel = rng.integers(0, len(VOWELS_HZ), int(duration_s * VOWELS_PER_S) + 1)[(t * VOWELS_PER_S).astype(int)]
    pitch_hz = 120 + 25 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    sound = np.zeros(len(t))
    for harmonic in range(1, 28):
        for formant, gain in enumerate((1.0, 0.6, 0.3)):
            distance = (harmonic * pitch_hz - VOWELS_HZ[vowel, formant]) / (80 + 40 * formant)
            sound += gain / (1 + distance**2) * np.sin(harmonic * phase)
    sound *= np.sqrt(np.abs(np.sin(np.pi * VOWELS_PER_S * t)))
    return 0.3 * sound / np.abs(sound).max()


def recording(*parts_s: float, seed: int = 0) -> Waveform:
    """Make silence, speech, silence, speech ... of these lengths, over a little noise."""
    parts = [murmur(s, seed=seed) if i % 2 else np.zeros(round(s * RATE_HZ)) for i, s in enumerate(parts_s)]
    sound = np.concatenate(parts)
    sound += np.random.default_rng(seed).normal(scale=0.001, size=len(sound))
    return Waveform(pcm=(sound * 32767).astype(np.int16))


def conversation(
    duration_s: float, *, breath_s: float, rest_s: float, rng: np.random.Generator
) -> tuple[Probabilities, npt.NDArray[np.bool_]]:
    """Make the probabilities of phrases of 0.3 to 20 s, with breaths between them and rests between sentences.

    Returns:
        Per frame, the probability of speech and whether it lies between two sentences.
    """
    voiced: list[float] = []
    between: list[bool] = []
    while len(voiced) * HOP_SAMPLES < duration_s * RATE_HZ:
        phrases = 1 + rng.poisson(1.5)
        for phrase in range(phrases):
            speech = round(np.clip(rng.lognormal(np.log(1.8), 0.6), 0.3, 20) * RATE_HZ / HOP_SAMPLES)
            is_end = phrase == phrases - 1
            pause_s = rest_s + rng.exponential(rest_s) if is_end else breath_s + rng.exponential(breath_s)
            pause = round(pause_s * RATE_HZ / HOP_SAMPLES)
            voiced += [0.9] * speech + [0.1] * pause
            between += [False] * speech + [is_end] * pause
    return np.array(voiced, np.float32), np.array(between)
