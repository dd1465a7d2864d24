"""When Application Auto Scaling changes the number of instances: the rules, without clock or network.

Two kinds of policy, as it knows them for a SageMaker variant. Target tracking follows a metric: above its target for 3
points it adds capacity in proportion, below 90 % of it for 15 points it takes capacity away, each way not sooner than a
cooldown after the last change. A step policy acts when its alarm does, and that is how an endpoint leaves zero.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet import platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A scalable target."""

    least: int
    most: int

    def within(self, count: int) -> int:
        """Return the nearest count that is allowed."""
        return max(self.least, min(self.most, count))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTracking:
    """A target-tracking policy; cooldowns in seconds."""

    target: float
    out_cooldown_s: float = platform.SCALE_COOLDOWN_S
    in_cooldown_s: float = platform.SCALE_COOLDOWN_S
    may_scale_in: bool = True
    out_points: int = platform.SCALE_OUT_POINTS
    in_points: int = platform.SCALE_IN_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step policy with one step, and the alarm that calls it.

    Attributes:
        adjustment: Instances to add.
        threshold: The alarm rings at this value of the metric and above.
        points: So many points in a row.
    """

    adjustment: int
    threshold: float
    points: int
    cooldown_s: float


@dataclass(slots=True)
class Memory:
    """What the rules must remember from point to point."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    out_s: float = -math.inf
    in_s: float = -math.inf


def track(
    policy: TargetTracking, memory: Memory, *, value: float | None, count: int, bounds: Bounds, now_s: float
) -> int:
    """Take one point of the metric and return the number of instances wanted.

    Args:
        policy: The policy.
        memory: Is changed: the point is remembered, and when capacity was.
        value: The metric, or None when it has no value at present; a gap in the points forgets those before.
        count: Instances at present. At 0 the value is taken as the metric of one instance.
        bounds: The scalable target.
        now_s: The time of the point.
    """
    if value is None:
        memory.values.clear()
        return bounds.within(count)
    memory.values.append(value)
    if _all(memory, policy.out_points, lambda seen: seen > policy.target):
        wanted = bounds.within(math.ceil(max(count, 1) * value / policy.target))
        if wanted > count and now_s - memory.out_s >= policy.out_cooldown_s:
            memory.out_s = now_s
            return wanted
    if policy.may_scale_in and _all(memory, policy.in_points, lambda seen: seen < 0.9 * policy.target):
        wanted = bounds.within(math.ceil(count * value / policy.target))
        if wanted < count and now_s - max(memory.in_s, memory.out_s) >= policy.in_cooldown_s:
            memory.in_s = now_s
            return wanted
    return bounds.within(count)


def step(policy: Step, memory: Memory, *, value: float, count: int, bounds: Bounds, now_s: float) -> int:
    """Take one point of the alarm's metric and return the number of instances wanted."""
    memory.values.append(value)
    if not _all(memory, policy.points, lambda seen: seen >= policy.threshold):
        return bounds.within(count)
    wanted = bounds.within(count + policy.adjustment)
    if wanted > count and now_s - memory.out_s >= policy.cooldown_s:
        memory.out_s = now_s
        return wanted
    return bounds.within(count)


def _all(memory: Memory, points: int, rule: Callable[[float], bool]) -> bool:
    last = list(memory.values)[-points:]
    return len(last) == points and all(rule(value) for value in last)
