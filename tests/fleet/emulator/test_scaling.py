from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.emulator.autoscaling import step_policy, target_tracking
from fleet.emulator.scaling import Bounds, Memory, Step, TargetTracking, step, track

BOUNDS = Bounds(least=1, most=8)
POLICY = TargetTracking(target=5, out_cooldown_s=100, in_cooldown_s=100)


def followed(
    values: list[float | None], *, policy: TargetTracking = POLICY, count: int = 1, bounds: Bounds = BOUNDS
) -> list[int]:
    """Feed points ten seconds apart, and have as many instances as the rule wants."""
    memory, counts = Memory(), []
    for number, value in enumerate(values):
        count = track(policy, memory, value=value, count=count, bounds=bounds, now_s=number * 10)
        counts.append(count)
    return counts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([20, 20], [1, 1]),  # two points are not enough
        ([20, 20, 20], [1, 1, 4]),  # in proportion: 20 where 5 are wanted
        ([20, None, 20, 20], [1, 1, 1, 1]),  # a gap forgets
        ([5, 5, 5], [1, 1, 1]),  # at the target is not above it
        ([500, 500, 500], [1, 1, 8]),  # not above the most
    ],
)
def test_capacity_is_added_in_proportion_after_three_points(values: list[float | None], expected: list[int]) -> None:
    assert followed(values) == expected


def test_capacity_is_added_again_only_after_the_cooldown() -> None:
    counts = followed([10.0] * 14)

    assert counts[:3] == [1, 1, 2]
    assert counts[3:12] == [2] * 9
    assert counts[12] == 4


def test_capacity_is_taken_away_after_fifteen_low_points() -> None:
    assert followed([1.0] * 15, count=8) == [8] * 14 + [2]


def test_nothing_is_taken_away_between_nine_tenths_of_the_target_and_the_target() -> None:
    assert set(followed([4.6] * 40, count=8)) == {8}


def test_scale_in_can_be_switched_off() -> None:
    policy = TargetTracking(target=5, may_scale_in=False)

    assert set(followed([0.0] * 40, policy=policy, count=8)) == {8}


def test_idle_endpoint_goes_to_zero_where_that_is_allowed() -> None:
    assert followed([0.0] * 15, count=2, bounds=Bounds(least=0, most=4))[-1] == 0


def test_zero_instances_take_the_backlog_as_that_of_one() -> None:
    assert followed([12.0] * 3, count=0, bounds=Bounds(least=0, most=4)) == [0, 0, 3]


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=60), st.integers(0, 3), st.integers(0, 5), st.integers(0, 20))
def test_wanted_instances_are_within_bounds(values: list[float | None], least: int, more: int, count: int) -> None:
    bounds = Bounds(least=least, most=least + more)

    assert all(bounds.least <= wanted <= bounds.most for wanted in followed(values, count=count, bounds=bounds))


def test_step_policy_leaves_zero_when_its_alarm_has_its_points() -> None:
    policy = Step(adjustment=1, threshold=1, points=2, cooldown_s=300)
    memory, bounds = Memory(), Bounds(least=0, most=4)

    wanted = [
        step(policy, memory, value=value, count=count, bounds=bounds, now_s=now_s)
        for now_s, (value, count) in enumerate([(1, 0), (1, 0), (1, 1), (0, 1)])
    ]

    assert wanted == [0, 1, 1, 1]


def test_cooldowns_shrink_with_the_minute() -> None:
    tracking = target_tracking({"TargetValue": 5, "ScaleInCooldown": 600, "ScaleOutCooldown": 60}, minute_s=6)
    stepping = step_policy(
        {"StepAdjustments": [{"ScalingAdjustment": 1}], "Cooldown": 300},
        {"Threshold": 1, "EvaluationPeriods": 2},
        minute_s=6,
    )

    assert (tracking.in_cooldown_s, tracking.out_cooldown_s) == (60, 6)
    assert (stepping.cooldown_s, stepping.points) == (30, 2)
