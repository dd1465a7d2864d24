"""Samples -> speech probabilities, by the Silero model that faster-whisper carries, in a form that is faster."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime

from transcriber.audio.waveform import Pcm, Samples, Waveform, floats_of
from transcriber.vad.spans import HOP_SAMPLES, Probabilities

MODEL_FILE = Path(__file__).with_name("silero_vad_v6.onnx")
"""Written by scripts/make_speech_model.py from the one of faster-whisper 1.2.1, to which the thresholds in spans.py are
tuned: the same network in a third of the time (docs/decisions/0010)."""

CONTEXT_SAMPLES = 64
"""Silero sees each frame with this much of the one before it (silero-vad v5 and v6 at 16 kHz)."""

STATE_SHAPE = (1, 1, 128)
"""Shape (layers, batch, units) of the two halves of the model's LSTM state."""

BLOCK_FRAMES = 320
"""About ten seconds at a time when a whole recording is there: 0.7 MB of input. Measured on 10 minutes (one core,
0.94 s): blocks of 1 to 60 s take the same time within 5 %, the whole recording at once takes 10 % more."""


class Session(Protocol):
    """As much of `onnxruntime.InferenceSession` as is used; its `run` may be called from many threads at once."""

    def run(self, output_names: None, input_feed: dict[str, Samples]) -> list[Samples]:
        """Run the network: inputs `input` (frames, context + hop), `h`, `c`; outputs probabilities, `h`, `c`."""
        ...


class SpeechDetector:
    """Tells how surely each 32 ms of a recording hold speech. One serves all threads: it keeps nothing of a call."""

    @cached_property
    def _session(self) -> Session:
        """Load the model when it is first used, with the options of faster-whisper's `SileroVADModel`."""
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        session: Session = onnxruntime.InferenceSession(str(MODEL_FILE), options, providers=["CPUExecutionProvider"])
        return session

    def listen(self) -> Hearing:
        """Begin to listen to a recording."""
        return Hearing(self._session)

    def probabilities_of(self, waveform: Waveform) -> Probabilities:
        """Tell how surely each frame of a whole recording holds speech.

        Returns:
            One probability per `HOP_SAMPLES`, the last frame filled up with silence: len(waveform) // hop + 1 of them,
            so that a recording of whole frames ends with one frame of nothing but silence.
        """
        hearing = self.listen()
        step = BLOCK_FRAMES * HOP_SAMPLES
        heard = [hearing.add(waveform.pcm[first : first + step]) for first in range(0, len(waveform), step)]
        return np.concatenate([*heard, hearing.finish()])


class Hearing:
    """What the network remembers of one recording from block to block: its state, and the end of the last frame.

    Source: `get_speech_timestamps` and `SileroVADModel` of faster-whisper 1.2.1, whose probabilities these are but for
    the last digits of a float.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._h = self._c = np.zeros(STATE_SHAPE, np.float32)
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._rest = np.empty(0, np.int16)

    def add(self, pcm: Pcm) -> Probabilities:
        """Return the probabilities of the frames that the recording's next samples complete."""
        pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) - len(pcm) % HOP_SAMPLES
        self._rest = pcm[whole:]
        return self._run(floats_of(pcm[:whole]))

    def finish(self) -> Probabilities:
        """Return the probability of the last frame, which the recording's end does not complete."""
        frame = np.zeros(HOP_SAMPLES, np.float32)
        frame[: len(self._rest)] = floats_of(self._rest)
        # SileroVADModel clears the context of the frame after the last one, but in a view of the audio. Kept for
        # equality; it changes the probability only when the last frame is almost full.
        frame[-CONTEXT_SAMPLES:] = 0.0
        return self._run(frame)

    def _run(self, samples: Samples) -> Probabilities:
        """Listen to whole frames, each with the end of the one before it."""
        if not len(samples):
            return np.empty(0, np.float32)
        frames = samples.reshape(-1, HOP_SAMPLES)
        rows = np.empty((len(frames), CONTEXT_SAMPLES + HOP_SAMPLES), np.float32)
        rows[:, CONTEXT_SAMPLES:] = frames
        rows[0, :CONTEXT_SAMPLES] = self._context
        rows[1:, :CONTEXT_SAMPLES] = frames[:-1, -CONTEXT_SAMPLES:]
        self._context = frames[-1, -CONTEXT_SAMPLES:].copy()
        probabilities, self._h, self._c = self._session.run(None, {"input": rows, "h": self._h, "c": self._c})
        return probabilities
