"""Parts of speech -> passages that an engine reads window by window, and the way back to the recording's clock.

A passage that ends where a sentence does is read better, so cuts look for wide pauses; but every window costs the
engine the same however full it is, so they must not make many more of them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from transcriber.audio.waveform import RATE_HZ, Samples, Waveform
from transcriber.vad.spans import HOP_SAMPLES, Part, Probabilities, Span, parts_of

WIDE_PAUSE_SAMPLES = RATE_HZ
"""A pause of a second is as good as any longer one: whoever spoke has finished."""

WINDOW_COST_SAMPLES = 4 * RATE_HZ
"""How much wider the pauses must become, in sum, to be worth one window more.

Chosen on simulated speech (`conversation` in tests/vad/voices.py, three manners of resting, windows of 30 s) of which
all is known, against filling each window as far as it goes: cuts between sentences rise from 47-57 % to 76-88 % of all
cuts, windows by nothing in 1 minute, 0.1-0.2 % in 5 minutes, 0.8-1.2 % in an hour. At 3 s it is 81-91 % for 2.2-2.4 %
in an hour. To take the widest pause in the last third of each window would be 87-92 % for 6-12 %.
"""

HORIZON_WINDOWS = 4
"""How much speech may wait until the first cut is settled, in windows. On the same speech, against knowing all of it,
this costs half a percent more windows in an hour and one to four of a hundred cuts between sentences; nothing in 1
minute (docs/decisions/0005-windows-stream-out-of-decoding.md)."""


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
        """Cut [start, stop) of the passage out of a whole recording, as floats in an array of their own."""
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


def passages_of(
    spans: Sequence[Span],
    probabilities: Probabilities,
    *,
    limit_samples: int,
    hop_samples: int = HOP_SAMPLES,
) -> tuple[Passage, ...]:
    """Pack the speech of a whole recording, as `Packer` does while it comes.

    Every sample of every span comes to be in exactly one passage, in order.

    Args:
        spans: Of the whole recording, ascending.
        probabilities: The speech probabilities that the spans were found by.
        limit_samples: The longest window that the engine takes.
        hop_samples: Samples per frame of `probabilities`.

    Returns:
        In order, none longer than the limit; empty when there are no spans.
    """
    packer = Packer(limit_samples=limit_samples)
    packed: list[tuple[Part, ...]] = []
    for span in spans:
        packed += packer.add(parts_of(span, probabilities, limit_samples=limit_samples, hop_samples=hop_samples))
    return tuple(Passage(spans=tuple(part.span for part in parts)) for parts in packed + packer.finish())


class Packer:
    """Joins parts to passages of one window each, to be read side by side, while the parts come.

    Cuts fall between parts, where the pauses are widest, in the last third of a window, or earlier where the next part
    would not fit. Of all such cuts those are chosen that cost least: every window its price, less the width of the
    pause that it ends in. The best way to reach each cut is found from the best ways to reach the cuts before it. A
    passage is settled when all ways that may still turn out best begin with it; or, at the latest, when `horizon`
    windows of speech wait: then it begins the way that is best so far.
    """

    def __init__(self, *, limit_samples: int, horizon_windows: float = HORIZON_WINDOWS) -> None:
        """Begin with nothing to pack.

        Args:
            limit_samples: The longest window that the engine takes; no part may be longer.
            horizon_windows: More than one.
        """
        self._limit = limit_samples
        self._horizon = horizon_windows * limit_samples
        self._begin(())

    def add(self, parts: Iterable[Part]) -> list[tuple[Part, ...]]:
        """Return the passages that the recording's next parts settle."""
        settled = []
        for part in parts:
            self._append(part)
            while cut := self._first_cut():
                settled.append(tuple(self._parts[:cut]))
                self._begin(self._parts[cut:])
        return settled

    def finish(self) -> list[tuple[Part, ...]]:
        """Return the passages of what is left."""
        ranges = []
        stop = len(self._parts)
        if stop:
            self._reach(stop, is_last=True)
        while stop:
            ranges.append((self._ways[stop].first, stop))
            stop = self._ways[stop].first
        return [tuple(self._parts[first:stop]) for first, stop in reversed(ranges)]

    def _begin(self, parts: Sequence[Part]) -> None:
        self._parts: list[Part] = []
        self._ends = [0]
        self._ways = [_Way(cost=0, first=0, first_cut=0)]
        for part in parts:
            self._append(part)

    def _append(self, part: Part) -> None:
        self._parts.append(part)
        self._ends.append(self._ends[-1] + len(part))
        if len(self._parts) > 1:
            self._reach(len(self._parts) - 1, is_last=False)

    def _reach(self, stop: int, *, is_last: bool) -> None:
        """Find the best way to a cut before the part of number `stop`, or to the end of all."""
        worth = 0 if is_last else _pause(self._parts[stop - 1], self._parts[stop])
        best = _Way(cost=math.inf, first=0, first_cut=0)
        for first in range(bisect_left(self._ends, self._ends[stop] - self._limit), stop):
            is_full = 3 * (self._ends[stop] - self._ends[first]) >= 2 * self._limit
            if is_last or is_full or self._ends[stop + 1] - self._ends[first] > self._limit:
                way = self._ways[first]
                cost = way.cost + WINDOW_COST_SAMPLES - worth
                if cost < best.cost:
                    best = _Way(cost=cost, first=first, first_cut=way.first_cut or stop)
        self._ways.append(best)

    def _first_cut(self) -> int:
        """Return how many parts the first passage has; 0 while it is not settled."""
        length = self._ends[-1]
        open_ways = range(bisect_left(self._ends, length - self._limit), len(self._parts))
        first_cuts = {self._ways[cut].first_cut for cut in open_ways if self._ways[cut].cost < math.inf}
        if len(first_cuts) == 1:
            return first_cuts.pop()
        if length <= self._horizon:
            return 0
        # Ways end at different places: what lies behind them is priced as if all windows were full.
        price = WINDOW_COST_SAMPLES / self._limit
        best = min(open_ways, key=lambda cut: self._ways[cut].cost + (length - self._ends[cut]) * price)
        return self._ways[best].first_cut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The best way to reach a cut.

    Attributes:
        cost: In samples; infinite where no way leads.
        first: The cut before it.
        first_cut: The first cut of all; 0 where there is none.
    """

    cost: float
    first: int
    first_cut: int


def _pause(part: Part, following: Part) -> int:
    """Measure how long nobody speaks between two parts: their padding hides it."""
    return min(max(0, following.voiced.start - part.voiced.stop), WIDE_PAUSE_SAMPLES)
