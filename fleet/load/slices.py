"""What two programs came to that ran a second or so each, in turns, in the middle of their work.

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
class Sliced:
    """A server with recordings of one length, and the roofline, in slices.

    Attributes:
        callers: Of the server.
        slices: How many each of them had.
        slice_s: How long each was.
        server_per_s: Windows a second in the server's slices.
        roofline_per_s: In the roofline's, with preprocessing.
    """

    recording_s: int
    callers: int
    slices: int
    slice_s: float
    server_per_s: float
    roofline_per_s: float

    @property
    def share(self) -> float:
        """The server's part of the roofline."""
        return self.server_per_s / self.roofline_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What several pairs of processes came to: the mean, and its standard error; None for one pair."""

    mean: float
    error: float | None

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + (f" ± {self.error:.3f}" if self.error is not None else "")


def share_of(pairs: Iterable[Sliced]) -> Share | None:
    """Sum up pairs; None for none."""
    shares = [pair.share for pair in pairs]
    if not shares:
        return None
    error = statistics.stdev(shares) / len(shares) ** 0.5 if len(shares) > 1 else None
    return Share(mean=statistics.mean(shares), error=error)
