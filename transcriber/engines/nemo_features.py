"""Samples -> the features that NVIDIA's NeMo models are trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines.mel import Mel

HOP_SAMPLES = 160
"""10 ms; the constants down to `LOG_FLOOR` are those of NeMo's `AudioToMelSpectrogramPreprocessor`."""

FFT_SAMPLES = 512

WINDOW_SAMPLES = 400
"""25 ms."""

PRE_EMPHASIS = 0.97

LOG_FLOOR = 2.0**-24

STD_FLOOR = 1e-5

LEAST_FRAMES = 2
"""A deviation needs two. What is shorter is filled up with silence."""

BLOCK_FRAMES = 1000
"""Frames transformed at once: 4 MB of samples in 64 bits and as much of spectrum."""


class NemoFeatures:
    """NeMo's log-mel spectrogram, each mel normalised over the window; it keeps no state, so that threads may share it.

    Source: `NemoPreprocessorNumpy` of onnx-asr 0.12, which is equal to NeMo; equal to it but for the last bits of the
    mel filters. There the whole batch is transformed at once, padding and all.
    """

    def __init__(self, mels: int) -> None:
        """Compute the filters of so many mels."""
        self._filters = mel_filters(mels)
        margin = (FFT_SAMPLES - WINDOW_SAMPLES) // 2
        self._hann = np.pad(np.hanning(WINDOW_SAMPLES), margin)

    def __call__(self, samples: Samples) -> Mel:
        """Return the features, one frame per 10 ms begun and ended, at least two: shape (mels, frames).

        Args:
            samples: Mono, 16 kHz.
        """
        n_frames = max(LEAST_FRAMES, len(samples) // HOP_SAMPLES)
        sound = np.zeros(max(len(samples), n_frames * HOP_SAMPLES) + FFT_SAMPLES, np.float32)
        emphasised = sound[FFT_SAMPLES // 2 : FFT_SAMPLES // 2 + len(samples)]
        emphasised[:] = samples
        emphasised[1:] -= np.float32(PRE_EMPHASIS) * samples[:-1]
        frames = np.lib.stride_tricks.sliding_window_view(sound, FFT_SAMPLES)[::HOP_SAMPLES][:n_frames]
        power = np.empty((n_frames, FFT_SAMPLES // 2 + 1), np.float32)
        for begin in range(0, n_frames, BLOCK_FRAMES):
            block = slice(begin, begin + BLOCK_FRAMES)
            power[block] = np.abs(np.fft.rfft(frames[block] * self._hann)).astype(np.float32) ** 2
        log_mel = np.log(power @ self._filters + np.float32(LOG_FLOOR))
        deviation = log_mel - log_mel.sum(axis=0) / np.float32(n_frames)
        variance = (deviation**2).sum(axis=0) / np.float32(n_frames - 1)
        return np.ascontiguousarray((deviation / (np.sqrt(variance) + np.float32(STD_FLOOR))).T)


def mel_filters(mels: int) -> npt.NDArray[np.float32]:
    """Return Slaney's triangular filters over 0 to 8 kHz, each of area 1: shape (257, mels).

    Source: `librosa.filters.mel` with its defaults, which NeMo uses.
    """
    bins_hz = np.linspace(0, RATE_HZ / 2, FFT_SAMPLES // 2 + 1)
    corners_hz = _hz(np.linspace(_mel(0.0), _mel(RATE_HZ / 2), mels + 2))
    rises = (bins_hz[:, None] - corners_hz[None, :-2]) / np.diff(corners_hz)[:-1]
    falls = (corners_hz[None, 2:] - bins_hz[:, None]) / np.diff(corners_hz)[1:]
    triangles = np.maximum(0, np.minimum(rises, falls))
    return np.ascontiguousarray(triangles * (2 / (corners_hz[2:] - corners_hz[:-2])), dtype=np.float32)


# Slaney's scale: linear up to 1,000 Hz, which is mel 15, then 27 mels for each factor of 6.4.
_LINEAR_HZ = 200 / 3
_BORDER_HZ = 1000.0
_BORDER_MEL = _BORDER_HZ / _LINEAR_HZ
_STEP = np.log(6.4) / 27


def _mel(hz: float) -> float:
    return hz / _LINEAR_HZ if hz < _BORDER_HZ else _BORDER_MEL + float(np.log(hz / _BORDER_HZ) / _STEP)


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    above = _BORDER_HZ * np.exp(_STEP * (np.maximum(mel, _BORDER_MEL) - _BORDER_MEL))
    return np.where(mel < _BORDER_MEL, mel * _LINEAR_HZ, above)
