"""What happens to speech on its way to the model: noise, echoes, other microphones, and Whisper's log-Mel features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from random import Random

Samples = npt.NDArray[np.float32]

RATE_HZ = 16_000
HOP_SAMPLES = 160
FFT_SAMPLES = 400
MELS = 80
FEATURES_PER_S = RATE_HZ // HOP_SAMPLES
NOISE_S = 60


def resampled(samples: Samples, rate: float) -> Samples:
    """Play samples faster (rate over 1) or slower, pitch and formants included: nearly another speaker."""
    positions = np.arange(0, len(samples) - 1, rate)
    played: Samples = np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)
    return played


def noises(seed: int) -> list[Samples]:
    """Make a minute each of white to brown noise and of mains hum, noisy and pure, all of the same power."""
    source = np.random.default_rng(seed)
    length = RATE_HZ * NOISE_S
    frequencies = np.arange(length // 2 + 1) + 50.0
    kinds = [
        np.fft.irfft(np.fft.rfft(source.standard_normal(length)) * frequencies**-slope)
        for slope in (0, 0, 0.3, 0.5, 0.7, 1)
    ]
    turns = 2 * np.pi * np.arange(length) / RATE_HZ
    kinds.append(np.sin(50 * turns) + 0.5 * np.sin(150 * turns) + 0.2 * source.standard_normal(length))
    for mains in (50, 60):
        louder = source.uniform(0, 1, 5)
        kinds.append(sum(louder[n] / (n + 1) * np.sin((n + 1) * mains * turns) for n in range(5)))
    return [(kind / kind.std()).astype(np.float32) for kind in kinds]


def breathy(samples: Samples, noise: Samples, draw: Random) -> Samples:
    """Replace part of a voice by breath: noise that is as loud as the voice at each moment."""
    energy = np.cumsum(np.pad(samples.astype(np.float64) ** 2, (80, 80)))
    loudness = np.sqrt(np.maximum(energy[160:] - energy[:-160], 0) / 160)
    breath = draw.uniform(0.1, 0.7)
    start = draw.randrange(len(noise) - len(samples))
    mixed: Samples = ((1 - breath) * samples + breath * loudness * noise[start : start + len(samples)]).astype(
        np.float32
    )
    return mixed


def roughened(
    samples: Samples, speech_gain: float | None, noise: list[Samples], least_db: float, draw: Random
) -> Samples:
    """Add echoes and noise to a window, or leave it as it is: three in ten stay free of noise.

    Args:
        samples: Shape (samples,); not changed.
        speech_gain: How loud the speech is, in (0, 1]; None when there is none.
        noise: From `noises`.
        least_db: How far the loudest noise lies below the speech, in decibels.
        draw: Source of all chance.
    """
    heard = samples
    if speech_gain is not None and draw.random() < 0.15:
        heard = samples.copy()
        for delay in (draw.randint(160, 1600) for _ in range(3)):
            heard[delay:] += samples[:-delay] * draw.uniform(0.05, 0.35)
    if draw.random() < (0.8 if speech_gain is None else 0.7):
        # Speech peaks near its gain and is about a tenth of that on average.
        level = (
            10 ** draw.uniform(-4.5, -0.5)
            if speech_gain is None
            else 0.1 * speech_gain * 10 ** (-draw.uniform(least_db, 45) / 20)
        )
        kind = draw.choice(noise)
        start = draw.randrange(len(kind) - len(heard))
        heard = heard + kind[start : start + len(heard)] * np.float32(level)
    return np.clip(heard, -1, 1)


class FeatureMaker:
    """faster-whisper's log-Mel features, seen through a random microphone."""

    def __init__(self) -> None:
        """Take the Mel filters from faster-whisper itself."""
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415  needed to train only

        self.filters = torch.from_numpy(FeatureExtractor(feature_size=MELS).mel_filters)
        self.hann = torch.from_numpy(np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32))
        self.bands = torch.arange(MELS, dtype=torch.float32)

    def features(self, samples: Samples, length_s: float, throats: tuple[float, float], draw: Random) -> torch.Tensor:
        """Give a window's features, shape (mels, frames), 100 frames a second, padded with zeros to its length.

        The padding is zero in the features, not silence in the sound, because faster-whisper pads so.

        Args:
            samples: 16 kHz, shape (samples,).
            length_s: Of the window.
            throats: Shortest and longest throat to pretend, as shares of the speaker's own.
            draw: Source of all chance.
        """
        sound = torch.from_numpy(np.pad(samples, (0, HOP_SAMPLES)))
        spectrum = torch.stft(
            sound, FFT_SAMPLES, HOP_SAMPLES, window=self.hann, return_complex=True, pad_mode="reflect"
        )
        mel = torch.log10((self.filters @ spectrum[:, :-1].abs().square()).clamp(min=1e-10))
        if draw.random() < 0.3:
            mel = self._other_throat(mel, throats, draw)
        if draw.random() < 0.6:
            mel = self._other_microphone(mel, draw)
        # The floor follows the loudest moment of the whole recording, which may lie outside this window.
        loudest = mel.max() + (draw.uniform(0, 1.5) if draw.random() < 0.25 else 0)
        mel = (torch.maximum(mel, loudest - 8) + 4) / 4
        frames = round(length_s * FEATURES_PER_S)
        return functional.pad(mel[:, :frames], (0, max(0, frames - mel.shape[1])))

    def _other_throat(self, mel: torch.Tensor, throats: tuple[float, float], draw: Random) -> torch.Tensor:
        """Shift all formants a little, as a shorter or longer throat does."""
        at = (self.bands * draw.uniform(*throats) + draw.uniform(-1.5, 1.5)).clamp(0, MELS - 1.001)
        below = at.long()
        share = (at - below)[:, None]
        return mel[below] * (1 - share) + mel[below + 1] * share

    def _other_microphone(self, mel: torch.Tensor, draw: Random) -> torch.Tensor:
        """Tilt and bend the spectrum; now and then cut the treble off."""
        height = self.bands / (MELS / 2) - 1
        bend = torch.sin(height * draw.uniform(1, 6) + draw.uniform(0, 6))
        curve = draw.uniform(-0.6, 0.6) * height + draw.uniform(-0.3, 0.3) * bend
        if draw.random() < 0.15:
            curve = curve - 3 * (height > draw.uniform(0.5, 0.9))
        return (mel + curve[:, None]).clamp(min=-10)
