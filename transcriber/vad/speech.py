"""Waveform -> speech probabilities, by the Silero model that faster-whisper carries."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.lib.stride_tricks import sliding_window_view

from transcriber.audio.waveform import Samples, Waveform
from transcriber.vad.spans import HOP_SAMPLES, Probabilities

CONTEXT_SAMPLES = 64
"""Silero sees each frame with this much of the one before it (silero-vad v5 and v6 at 16 kHz)."""

STATE_SHAPE = (1, 1, 128)
"""Shape (layers, batch, units) of the two halves of the model's LSTM state."""

BLOCK_FRAMES = 320
"""About ten seconds at a time: 0.7 MB of input however long the recording. Measured on 10 minutes (one core, 0.94 s):
blocks of 1 to 60 s take the same time within 5 %, the whole recording at once takes 10 % more."""


class Session(Protocol):
    """As much of `onnxruntime.InferenceSession` as is used; its `run` may be called from many threads at once."""

    def run(self, output_names: None, input_feed: dict[str, Samples]) -> list[Samples]:
        """Run the network: inputs `input` (frames, context + hop), `h`, `c`; outputs probabilities, `h`, `c`."""
        ...


class SpeechDetector:
    """Tells how surely each 32 ms of a recording hold speech. One serves all threads: it keeps nothing of a call."""

    @cached_property
    def _session(self) -> Session:
        """Load the model when it is first used.

        faster-whisper is pinned to 1.2.1 in requirements.in for this: `get_vad_model` and its `session` are not
        documented, and the thresholds in spans.py are tuned to the version of the model that it carries.
        """
        session: Session = get_vad_model().session
        return session

    def probabilities_of(self, waveform: Waveform) -> Probabilities:
        """Tell how surely each frame holds speech.

        The waveform is read in blocks that hand on the network's state and the end of the last frame.

        Returns:
            One probability per `HOP_SAMPLES`, the last frame filled up with silence: len(waveform) // hop + 1 of them,
            so that a recording of whole frames ends with one frame of nothing but silence.

        Source: `get_speech_timestamps` and `SileroVADModel` of faster-whisper 1.2.1, equal to the bit.
        """
        frames = len(waveform) // HOP_SAMPLES + 1
        probabilities = np.empty(frames, np.float32)
        context = np.zeros(CONTEXT_SAMPLES, np.float32)
        h = c = np.zeros(STATE_SHAPE, np.float32)
        for first in range(0, frames, BLOCK_FRAMES):
            stop = min(first + BLOCK_FRAMES, frames)
            block = np.zeros(CONTEXT_SAMPLES + (stop - first) * HOP_SAMPLES, np.float32)
            heard = waveform.samples(first * HOP_SAMPLES, stop * HOP_SAMPLES)
            block[:CONTEXT_SAMPLES] = context
            block[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(heard)] = heard
            if stop == frames:
                # SileroVADModel clears the context of the frame after the last one, but in a view of the audio. Kept
                # for equality; it changes at most one probability, and only when the last frame is almost full.
                block[-CONTEXT_SAMPLES:] = 0.0
            context = block[-CONTEXT_SAMPLES:]
            rows = np.ascontiguousarray(sliding_window_view(block, CONTEXT_SAMPLES + HOP_SAMPLES)[::HOP_SAMPLES])
            probabilities[first:stop], h, c = self._session.run(None, {"input": rows, "h": h, "c": c})
        return probabilities
