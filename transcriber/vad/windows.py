"""Spans of speech -> passages that an engine reads window by window, and the way back to the recording's clock.

A passage that ends where a sentence does is read better, so cuts look for wide pauses; but every window costs the
engine the same however full it is, so they must not make many more of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from transcriber.audio.waveform import RATE_HZ, Samples, Waveform
from transcriber.vad.spans import ENTER, HOP_SAMPLES, Probabilities, Span

WIDE_PAUSE_SAMPLES = RATE_HZ
"""A pause of a second is as good as any longer one: whoever spoke has finished."""

WINDOW_COST_SAMPLES = 4 * RATE_HZ
"""How much wider the pauses must become, in sum, to be worth one window more.

Chosen on simulated speech (`conversation` in tests/vad/voices.py, three manners of resting, windows of 30 s), against
filling each window as far as it goes: cuts between sentences rise from 47-57 % to 76-88 % of all cuts, windows by
nothing in 1 minute, 0.1-0.2 % in 5 minutes, 0.8-1.2 % in an hour. At 3 s it is 81-91 % for 2.2-2.4 % in an hour. To
take the widest pause in the last third of each window would be 87-92 % for 6-12 %.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Speech that is read from its start to its end by consecutive windows.

    It has a clock of its own, which stands still while the recording goes through what was left out.

    Attributes:
        spans: The stretches of the recording it joins, ascending, not overlapping, at least one.
    """

    spans: tuple[Span, ...]
    _ends: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.spans:
            raise ValueError("a passage joins at least one span")
        for earlier, later in pairwise(self.spans):
            if later.start < earlier.stop:
                raise ValueError(f"the spans of a passage follow each other, {later} does not follow {earlier}")
        object.__setattr__(self, "_ends", tuple(accumulate(map(len, self.spans))))

    def __len__(self) -> int:
        return self._ends[-1]

    def samples(self, waveform: Waveform, start: int, stop: int) -> Samples:
        """Cut [start, stop) of the passage out of its recording, as floats in an array of their own."""
        if not 0 <= start < stop <= len(self):
            raise ValueError(f"[{start}, {stop}) is no stretch of a passage of {len(self)} samples")
        return np.concatenate([waveform.samples(span.start, span.stop) for span in self._stretch(start, stop)])

    def _stretch(self, start: int, stop: int) -> Iterator[Span]:
        for span, end in zip(self.spans, self._ends, strict=True):
            shift = span.stop - end
            if end > start and end - len(span) < stop:
                yield Span(max(span.start, start + shift), min(span.stop, stop + shift))

    def to_clock(self, position_s: float, *, is_end: bool = False) -> float:
        """Turn seconds within the passage into seconds of the recording.

        Positions outside the passage count as its nearest end.

        Args:
            position_s: Seconds of the passage's own clock.
            is_end: Something ends here rather than begins: at a border it belongs to the earlier span.

        Example:
            >>> passage = Passage(spans=(Span(16_000, 32_000), Span(80_000, 96_000)))
            >>> passage.to_clock(1.0), passage.to_clock(1.0, is_end=True)
            (5.0, 2.0)
        """
        position_s = min(max(position_s, 0.0), len(self) / RATE_HZ)
        return position_s + self.left_out_s(position_s, is_end=is_end)

    def left_out_s(self, position_s: float, *, is_end: bool = False) -> float:
        """Tell how many seconds of the recording were left out before a position of the passage.

        Source: `SpeechTimestampsMap` of faster-whisper 1.2.1; positions are rounded to the nearest sample, where
        upstream truncates and so takes some starts at a border for the end of the span before.
        """
        bisect = bisect_left if is_end else bisect_right
        index = min(bisect(self._ends, round(position_s * RATE_HZ)), len(self.spans) - 1)
        return (self.spans[index].stop - self._ends[index]) / RATE_HZ


def whole(length_samples: int) -> Passage:
    """Make one passage of a whole recording, which must not be empty."""
    return Passage(spans=(Span(0, length_samples),))


def joined(spans: Sequence[Span]) -> Passage:
    """Make one passage of all speech, at least one span, to be read window after window."""
    return Passage(spans=tuple(spans))


def passages_of(
    spans: Sequence[Span],
    probabilities: Probabilities,
    *,
    limit_samples: int,
    hop_samples: int = HOP_SAMPLES,
) -> tuple[Passage, ...]:
    """Pack speech into passages of one window each, to be read side by side.

    Every sample of every span comes to be in exactly one passage, in order. Cuts fall between spans, where the pauses
    are widest, in the last third of a window, or earlier where the next span would not fit. Only a span that is
    longer than a window is cut itself, where the last third of that window is least like speech.

    Args:
        spans: Of the whole recording, ascending.
        probabilities: The speech probabilities that the spans were found by.
        limit_samples: The longest window that the engine takes.
        hop_samples: Samples per frame of `probabilities`.

    Returns:
        In order, none longer than the limit; empty when there are no spans.
    """
    fitting = [part for span in spans for part in _cut(span, probabilities, limit_samples, hop_samples)]
    pauses = _pauses(fitting, probabilities, hop_samples)
    return tuple(Passage(spans=tuple(fitting[first:stop])) for first, stop in _packed(fitting, pauses, limit_samples))


def _cut(span: Span, probabilities: Probabilities, limit_samples: int, hop_samples: int) -> Iterator[Span]:
    """Cut a span that is longer than a window in the middle of the quietest frame of each window's last third."""
    middle = hop_samples // 2
    while len(span) > limit_samples:
        latest = span.start + limit_samples
        first = math.ceil((latest - limit_samples // 3 - middle) / hop_samples)
        last = (latest - middle) // hop_samples
        # From the last to the first, so that where all is equally loud the window becomes as full as can be.
        backwards = probabilities[first : last + 1][::-1]
        cut = (
            (first + backwards.size - 1 - int(backwards.argmin())) * hop_samples + middle if backwards.size else latest
        )
        yield Span(span.start, cut)
        span = Span(cut, span.stop)
    yield span


def _pauses(spans: Sequence[Span], probabilities: Probabilities, hop_samples: int) -> list[int]:
    """Measure how long nobody speaks between each span and the next: their padding hides it."""
    voiced = np.concatenate(([-np.inf], np.flatnonzero(probabilities >= ENTER) * hop_samples, [np.inf]))
    before = voiced[np.searchsorted(voiced, [span.stop for span in spans[:-1]]) - 1] + hop_samples
    after = voiced[np.searchsorted(voiced, [span.start for span in spans[1:]])]
    return [int(pause) for pause in (after - before).clip(0, WIDE_PAUSE_SAMPLES)]


def _packed(spans: Sequence[Span], pauses: Sequence[int], limit_samples: int) -> list[tuple[int, int]]:
    """Choose the cuts that cost least: every window its price, less the width of the pause that it ends in.

    The best way to reach each cut is found from the best ways to reach the cuts before it.

    Returns:
        Half-open ranges of spans, in order.
    """
    ends = [0, *accumulate(map(len, spans))]
    count = len(spans)
    costs = [0.0] + [math.inf] * count
    starts = [0] * (count + 1)
    for first in range(count):
        for stop in range(first + 1, count + 1):
            length = ends[stop] - ends[first]
            if length > limit_samples:
                break
            is_last = stop == count
            if is_last or 3 * length >= 2 * limit_samples or ends[stop + 1] - ends[first] > limit_samples:
                cost = costs[first] + WINDOW_COST_SAMPLES - (0 if is_last else pauses[stop - 1])
                if cost < costs[stop]:
                    costs[stop], starts[stop] = cost, first
    ranges = []
    stop = count
    while stop:
        ranges.append((starts[stop], stop))
        stop = starts[stop]
    return ranges[::-1]
