"""Whether what was watched stayed flat."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

WARM_UP = 0.25
"""Share of a soak that is left out: caches, pools and the allocator fill once."""

SPANS = 10
"""Parts of the rest, whose means the noise is taken from: what is counted at a moment hangs on the moment before."""

ERRORS = 2
"""Standard errors of a rise that may be noise: some 95 in 100 of the lines through what only goes up and down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Something that was counted again and again.

    Attributes:
        name: With its unit.
        points: Seconds since the start, and the count; ascending.
        may_grow: How much the line through the points may rise while it was watched.
    """

    name: str
    points: Sequence[tuple[float, float]]
    may_grow: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a curve after the warm-up.

    Attributes:
        mean: The mean of the points.
        grew: How much the line through them rose between the first and the last.
        error: The standard error of that.
        per_hour: What it rose in each hour.
        is_flat: Whether it rose by what it may grow, or less, when the noise is taken off.
    """

    name: str
    lowest: float
    highest: float
    mean: float
    grew: float
    error: float
    per_hour: float
    may_grow: float
    is_flat: bool


def judge(curve: Curve) -> Verdict:
    """Lay a line of least squares through what came after the warm-up, and see how much it rises.

    Raises:
        ValueError: Less than `SPANS` points are left.

    Example:
        >>> judge(Curve(name="files", points=[(0, 9), *((second, 1) for second in range(10, 50))], may_grow=0)).grew
        0.0
    """
    after_s = WARM_UP * curve.points[-1][0]
    points = [(at_s, count) for at_s, count in curve.points if at_s >= after_s]
    if len(points) < SPANS:
        raise ValueError(f"{curve.name}: {len(points)} points are no line")
    watched_s = points[-1][0] - points[0][0]
    slope, _ = linear_regression(*zip(*points, strict=True))
    grew, error = slope * watched_s, _error_of_slope(points) * watched_s
    counts = [count for _, count in points]
    return Verdict(
        name=curve.name,
        lowest=round(min(counts), 2),
        highest=round(max(counts), 2),
        mean=round(fmean(counts), 2),
        grew=round(grew, 3),
        error=round(error, 3),
        per_hour=round(slope * 3600, 2),
        may_grow=round(curve.may_grow, 2),
        is_flat=grew - ERRORS * error <= curve.may_grow,
    )


def _error_of_slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the standard error of the slope of the line through the means of `SPANS` parts."""
    bounds = [len(points) * number // SPANS for number in range(SPANS + 1)]
    parts = [points[first:last] for first, last in itertools.pairwise(bounds)]
    means = [(fmean(at_s for at_s, _ in part), fmean(count for _, count in part)) for part in parts]
    slope, intercept = linear_regression(*zip(*means, strict=True))
    middle_s = fmean(at_s for at_s, _ in means)
    across = sum((at_s - middle_s) ** 2 for at_s, _ in means)
    beside = sum((count - intercept - slope * at_s) ** 2 for at_s, count in means)
    return math.sqrt(beside / (SPANS - 2) / across)
