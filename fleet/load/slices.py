"""What programs came to that ran a second or so each, in turns, in the middle of their work.

A machine that is shared with others changes its speed by a tenth within seconds, more than what is compared. From one
slice to the next it hardly changes.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.load.runs import Sample

UNDER_WAY_S = 0.02
"""How long after a server is frozen an answer may come that it has sent before."""

ROOFLINE = "roofline"
"""What the program is called that is no server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """When a program was thawed, and when it was frozen again, in seconds on the driver's clock."""

    began_s: float
    ended_s: float


def seconds_of(slices: Iterable[Slice]) -> float:
    """Add up how long a program ran."""
    return sum(it.ended_s - it.began_s for it in slices)


def windows_answered(samples: Iterable[Sample], slices: Sequence[Slice]) -> int:
    """Count the windows of the transcripts that came from the first slice to the last."""
    begin_s, end_s = slices[0].began_s, slices[-1].ended_s + UNDER_WAY_S
    return sum(it.recording.windows for it in samples if begin_s < it.done_s <= end_s and not it.complaint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One program in slices.

    Attributes:
        side: Which server, or `ROOFLINE`, with preprocessing.
        callers: Of the server; 0 for the roofline.
        windows_per_s: In the seconds in which it ran.
    """

    side: str
    callers: int
    windows_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sliced:
    """Programs with recordings of one length, in slices.

    Attributes:
        slices: How many each of them had.
        slice_s: How long each was.
    """

    recording_s: int
    slices: int
    slice_s: float
    lanes: tuple[Lane, ...]

    def windows_per_s(self, side: str, callers: int) -> float | None:
        """Return what one of them came to; None when it had no slices."""
        return next((it.windows_per_s for it in self.lanes if (it.side, it.callers) == (side, callers)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lone:
    """One caller who asks servers in turn, request by request, each frozen while another is asked.

    Attributes:
        requests: To each of them.
        p50_ms: Side -> the median latency of its answers.
    """

    recording_s: int
    requests: int
    p50_ms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What several rounds came to: the mean of a ratio, and its standard error; None for one round."""

    mean: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + (f" ± {self.error:.3f}" if self.error is not None else "")


def share_of(rounds: Iterable[tuple[float | None, float | None]]) -> Share | None:
    """Sum up a figure beside another of the same round; None where no round has both."""
    shares = [one / other for one, other in rounds if one is not None and other]
    if not shares:
        return None
    error = statistics.stdev(shares) / len(shares) ** 0.5 if len(shares) > 1 else None
    return Share(mean=statistics.mean(shares), error=error)
