"""Speech probabilities of frames -> spans of speech, with room to breathe at both ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ

Probabilities = npt.NDArray[np.float32]
"""Shape (frames,), in [0, 1]: how surely each frame holds speech."""

HOP_SAMPLES = 512
"""Samples per frame: what Silero was trained on at 16 kHz. Frame i covers [i * hop, (i + 1) * hop)."""

ENTER = 0.5
LEAVE = 0.35
PAD_SAMPLES = 400 * RATE_HZ // 1000
"""Both thresholds and the padding are the defaults of faster-whisper 1.2.1 (vad.py `VadOptions`)."""

MIN_PAUSE_SAMPLES = 160 * RATE_HZ // 1000
"""A shorter pause does not end a span. faster-whisper's batched pipeline uses the same 160 ms; the 2,000 ms of its
sequential one leave hardly a place where running speech can be cut into windows."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of the recording, in samples, half open: [start, stop)."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a span runs forward from 0 on, not from {self.start} to {self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start


def spans_of(
    probabilities: Probabilities,
    *,
    length_samples: int,
    enter: float = ENTER,
    leave: float = LEAVE,
    hop_samples: int = HOP_SAMPLES,
    min_pause_samples: int = MIN_PAUSE_SAMPLES,
    pad_samples: int = PAD_SAMPLES,
) -> tuple[Span, ...]:
    """Find the stretches of speech, padded on both sides.

    Two thresholds, so that a voice hovering around one of them does not flicker. Neighbours that are nearer than two
    pads share the pause between them, half each, and then touch.

    Args:
        probabilities: Of the whole recording.
        length_samples: Length of the recording; the last frame may reach beyond it, no span does.
        enter: Speech begins at the first frame at or above this.
        leave: A pause begins at the first later frame below this; must not exceed `enter`.
        hop_samples: Samples per frame.
        min_pause_samples: A pause that is shorter belongs to the speech around it.
        pad_samples: How much of the silence on each side is kept.

    Returns:
        Ascending, not overlapping; empty when nobody speaks.

    Example:
        >>> p = np.array([0.1, 0.9, 0.6, 0.2, 0.1, 0.1], np.float32)
        >>> spans_of(p, length_samples=3000, min_pause_samples=1024, pad_samples=100)
        (Span(start=412, stop=1636),)

    Source: `get_speech_timestamps` of faster-whisper 1.2.1 without a longest or a shortest speech, equal to the sample.
    """
    if leave > enter:
        raise ValueError(f"speech cannot end above the probability at which it begins: {leave} > {enter}")
    # Compared as arrays, in single precision as upstream does: a Python float would differ just at the threshold.
    voiced = (probabilities >= enter).tolist()
    quiet = (probabilities < leave).tolist()
    speech = _spoken(voiced, quiet, hop_samples, min_pause_samples, length_samples)
    return tuple(_padded(list(speech), pad_samples, length_samples))


def _spoken(
    voiced: list[bool], quiet: list[bool], hop_samples: int, min_pause_samples: int, length_samples: int
) -> Iterator[Span]:
    start: int | None = None
    pause: int | None = None
    for frame, is_voiced in enumerate(voiced):
        position = frame * hop_samples
        if is_voiced:
            start = position if start is None else start
            pause = None
        elif start is not None and quiet[frame]:
            pause = position if pause is None else pause
            if position - pause >= min_pause_samples:
                yield Span(start, pause)
                start = pause = None
    if start is not None and start < length_samples:
        yield Span(start, length_samples)


def _padded(speech: list[Span], pad_samples: int, length_samples: int) -> Iterator[Span]:
    before = pad_samples
    for span, following in zip_longest(speech, speech[1:]):
        silence = following.start - span.stop if following else 2 * pad_samples
        after = min(pad_samples, silence // 2)
        yield Span(max(0, span.start - before), min(length_samples, span.stop + after))
        before = after
