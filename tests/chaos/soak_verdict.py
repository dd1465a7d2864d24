"""Whether what was watched stayed flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP = 0.25
"""Share of a soak that is left out: caches, pools and the allocator fill once."""


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
        per_hour: The same for each hour.
        is_flat: Whether that is what it may grow, or less.
    """

    name: str
    lowest: float
    highest: float
    mean: float
    grew: float
    per_hour: float
    may_grow: float
    is_flat: bool


def judge(curve: Curve) -> Verdict:
    """Lay a line of least squares through what came after the warm-up, and see how much it rises.

    Raises:
        ValueError: Fewer than two points are left.

    Example:
        >>> judge(Curve(name="files", points=[(0, 9), (10, 1), (20, 1), (30, 1)], may_grow=0)).grew
        0.0
    """
    after_s = WARM_UP * curve.points[-1][0]
    points = [(at_s, count) for at_s, count in curve.points if at_s >= after_s]
    if len(points) < 2:
        raise ValueError(f"{curve.name}: {len(points)} points are no line")
    mean_s = sum(at_s for at_s, _ in points) / len(points)
    mean = sum(count for _, count in points) / len(points)
    across = sum((at_s - mean_s) ** 2 for at_s, _ in points)
    slope = sum((at_s - mean_s) * (count - mean) for at_s, count in points) / across
    grew = slope * (points[-1][0] - points[0][0])
    counts = [count for _, count in points]
    return Verdict(
        name=curve.name,
        lowest=round(min(counts), 2),
        highest=round(max(counts), 2),
        mean=round(mean, 2),
        grew=round(grew, 3),
        per_hour=round(slope * 3600, 2),
        may_grow=round(curve.may_grow, 2),
        is_flat=grew <= curve.may_grow,
    )
