"""Samples -> log-mel spectrogram, in blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ, Samples

FFT_SAMPLES = 400
"""25 ms (openai/whisper audio.py N_FFT)."""

HOP_SAMPLES = 160
"""10 ms (openai/whisper audio.py HOP_LENGTH)."""

FRAMES_PER_SECOND = RATE_HZ // HOP_SAMPLES

WINDOW_FRAMES = 3000
"""30 s: the length that Whisper is trained on."""

BLOCK_FRAMES = 1500
"""Frames transformed at once: 2.4 MB of samples and 2.4 MB of spectrum, which stay in the cache. Larger blocks are
slower: 20 minutes at once take 12 times as long."""

Mel = npt.NDArray[np.float32]
"""Shape (mels, frames)."""


class MelSpectrogram:
    """Whisper's features, bit for bit those of `faster_whisper.feature_extractor.FeatureExtractor`.

    That class transforms the whole recording at once, which takes ten times the memory and several times as long, and
    keeps state that a call may change. This one has none, so that threads may share it.
    """

    def __init__(self, filters: npt.NDArray[np.float32]) -> None:
        """Store the filter bank.

        Args:
            filters: Shape (mels, 201): `FeatureExtractor.mel_filters`.
        """
        self._filters = np.ascontiguousarray(filters, dtype=np.float32)
        self._hann = np.hanning(FFT_SAMPLES + 1)[:-1].astype(np.float32)

    def __call__(self, samples: Samples) -> Mel:
        """Return the log-mel spectrogram, one frame per 10 ms, shape (mels, 1 + samples // 160).

        Args:
            samples: Mono, 16 kHz, at least one.
        """
        padded = self._pad(samples)
        n_frames = (len(samples) + HOP_SAMPLES) // HOP_SAMPLES
        stride = padded.strides[0]
        frames = np.lib.stride_tricks.as_strided(
            padded, (n_frames, FFT_SAMPLES), (HOP_SAMPLES * stride, stride), writeable=False
        )
        power = np.empty((n_frames, FFT_SAMPLES // 2 + 1), np.float32)
        for begin in range(0, n_frames, BLOCK_FRAMES):
            end = min(n_frames, begin + BLOCK_FRAMES)
            # The magnitude's square, although re² + im² needs no root: it rounds as the reference does.
            np.square(np.abs(np.fft.rfft(frames[begin:end] * self._hann)), out=power[begin:end])
        # One product for all frames: BLAS rounds a product of few columns otherwise.
        mel: Mel = self._filters @ power.T
        np.maximum(mel, 1e-10, out=mel)
        np.log10(mel, out=mel)
        np.maximum(mel, mel.max() - np.float32(8.0), out=mel)
        mel += np.float32(4.0)
        mel /= np.float32(4.0)
        return mel

    @staticmethod
    def _pad(samples: Samples) -> Samples:
        """Add 10 ms of silence behind, then half a transform's reflection on both sides, as the reference does."""
        with_tail = np.pad(samples, (0, HOP_SAMPLES))
        return np.pad(with_tail, FFT_SAMPLES // 2, mode="reflect")


def cut(mel: Mel, first_frame: int) -> tuple[Mel, int]:
    """Take one window out of a spectrogram.

    Returns:
        The window, shape (mels, 3000), in an array of its own, what lies behind the sound filled with 0.0 as
        faster-whisper does; and how many of its frames are sound.
    """
    content = mel[:, first_frame : min(first_frame + WINDOW_FRAMES, mel.shape[1] - 1)]
    window = np.zeros((mel.shape[0], WINDOW_FRAMES), np.float32)
    window[:, : content.shape[1]] = content
    return window, content.shape[1]
