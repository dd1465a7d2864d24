"""Speech probabilities of frames -> spans of speech, with room to breathe at both ends."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ
from transcriber.vad.tail import Tail

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A span, or as much of one as fits a window.

    Attributes:
        span: With the silence that is kept at its ends.
        voiced: From the first to the last frame in it that is surely speech; the span itself where none is.
    """

    span: Span
    voiced: Span

    def __len__(self) -> int:
        return len(self.span)


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
    finder = SpanFinder(
        enter=enter,
        leave=leave,
        hop_samples=hop_samples,
        min_pause_samples=min_pause_samples,
        pad_samples=pad_samples,
    )
    return tuple(part.span for part in finder.finish(probabilities, length_samples=length_samples))


class SpanFinder:
    """Finds the spans of a recording while its frames come, each as soon as nothing that comes can change it.

    That is when two pads of silence have followed it or speech has begun again; and what has grown longer than a window
    is cut there and then, so that not even an hour without a pause keeps anybody waiting. However the frames are dealt
    out, the result is the same.
    """

    def __init__(
        self,
        *,
        limit_samples: int = sys.maxsize,
        enter: float = ENTER,
        leave: float = LEAVE,
        hop_samples: int = HOP_SAMPLES,
        min_pause_samples: int = MIN_PAUSE_SAMPLES,
        pad_samples: int = PAD_SAMPLES,
    ) -> None:
        """Begin with nothing heard; `parts_of` tells what the limit is, `spans_of` the rest."""
        if leave > enter:
            raise ValueError(f"speech cannot end above the probability at which it begins: {leave} > {enter}")
        self._limit = limit_samples
        self._enter = enter
        self._leave = leave
        self._hop = hop_samples
        self._min_pause = min_pause_samples
        self._pad = pad_samples
        self._frames = Tail(np.empty(0, np.float32))
        self._position = 0
        self._start: int | None = None  # of the part that is open, padding included
        self._pause: int | None = None  # where quiet began, after which speech may still go on
        self._stop: int | None = None  # where speech ended, while it is open how much padding follows

    @property
    def earliest(self) -> int:
        """The first sample that a part still to come may hold."""
        return max(0, self._position - self._pad) if self._start is None else self._start

    def add(self, probabilities: Probabilities) -> list[Part]:
        """Return the parts that the recording's next frames settle."""
        return self._settled(probabilities, sys.maxsize)

    def finish(self, probabilities: Probabilities, *, length_samples: int) -> list[Part]:
        """Return the parts that the recording's last frames and its end settle."""
        parts = self._settled(probabilities, length_samples)
        if self._start is not None:
            stop = length_samples if self._stop is None else min(length_samples, self._stop + self._pad)
            parts += self._closed(stop)
        return parts

    def _settled(self, probabilities: Probabilities, length_samples: int) -> list[Part]:
        self._frames.extend(probabilities)
        # Compared as arrays, in single precision as upstream does: a Python float would differ just at the threshold.
        voiced = (probabilities >= self._enter).tolist()
        quiet = (probabilities < self._leave).tolist()
        parts: list[Part] = []
        for is_voiced, is_quiet in zip(voiced, quiet, strict=True):
            if is_voiced:
                # The last frame may begin where the recording ends: speech can go on into it, but not begin there.
                if self._is_speaking or self._position < length_samples:
                    parts += self._hear_voice()
            elif self._is_speaking:
                self._hear_pause(is_quiet=is_quiet)
            elif self._stop is not None and self._position + self._hop - self._stop >= 2 * self._pad:
                parts += self._closed(self._stop + self._pad)
            self._position += self._hop
        self._frames.forget(self.earliest // self._hop)
        return parts

    @property
    def _is_speaking(self) -> bool:
        return self._start is not None and self._stop is None

    def _hear_voice(self) -> list[Part]:
        parts: list[Part] = []
        if self._stop is not None:
            shared = min(self._pad, (self._position - self._stop) // 2)
            parts = self._closed(self._stop + shared)
            self._start = self._position - shared
        elif self._start is None:
            self._start = max(0, self._position - self._pad)
        self._pause = None
        return parts + self._cut(self._position)

    def _hear_pause(self, *, is_quiet: bool) -> None:
        if is_quiet:
            self._pause = self._position if self._pause is None else self._pause
            if self._position - self._pause >= self._min_pause:
                self._stop = self._pause

    def _cut(self, reached: int) -> list[Part]:
        """Take windows off the open part as long as it surely is longer than one."""
        parts = []
        while self._start is not None and reached - self._start > self._limit:
            cut = quietest(self._frames, self._start, limit_samples=self._limit, hop_samples=self._hop)
            parts.append(self._part(self._start, cut))
            self._start = cut
        return parts

    def _closed(self, stop: int) -> list[Part]:
        parts = self._cut(stop)
        if self._start is not None:
            parts.append(self._part(self._start, stop))
        self._start = self._pause = self._stop = None
        return parts

    def _part(self, start: int, stop: int) -> Part:
        return part_of(self._frames, Span(start, stop), enter=self._enter, hop_samples=self._hop)


def parts_of(span: Span, probabilities: Probabilities, *, limit_samples: int, hop_samples: int) -> Iterator[Part]:
    """Cut a span that is longer than a window in the middle of the quietest frame of each window's last third."""
    frames = Tail(probabilities)
    while len(span) > limit_samples:
        cut = quietest(frames, span.start, limit_samples=limit_samples, hop_samples=hop_samples)
        yield part_of(frames, Span(span.start, cut), enter=ENTER, hop_samples=hop_samples)
        span = Span(cut, span.stop)
    yield part_of(frames, span, enter=ENTER, hop_samples=hop_samples)


def quietest(frames: Tail[np.float32], start: int, *, limit_samples: int, hop_samples: int) -> int:
    """Return the middle of the quietest frame in the last third of the window that begins at `start`, in samples."""
    middle = hop_samples // 2
    latest = start + limit_samples
    first = math.ceil((latest - limit_samples // 3 - middle) / hop_samples)
    # From the last to the first, so that where all is equally loud the window becomes as full as can be.
    backwards = frames.between(first, (latest - middle) // hop_samples + 1)[::-1]
    if not backwards.size:
        return latest
    return (first + backwards.size - 1 - int(backwards.argmin())) * hop_samples + middle


def part_of(frames: Tail[np.float32], span: Span, *, enter: float, hop_samples: int) -> Part:
    """Find out where in a span somebody surely speaks."""
    first, stop = -(-span.start // hop_samples), -(-span.stop // hop_samples)
    voiced = np.flatnonzero(frames.between(first, stop) >= enter)
    if not voiced.size:
        return Part(span=span, voiced=span)
    begin, end = first + int(voiced[0]), first + int(voiced[-1]) + 1
    return Part(span=span, voiced=Span(begin * hop_samples, end * hop_samples))
