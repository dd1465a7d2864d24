from __future__ import annotations

import math

import pytest

from tests.chaos.soak_verdict import Curve, judge


def curve(*counts: float, may_grow: float = 1.0) -> Curve:
    return Curve(
        name="files", points=[(10.0 * number, count) for number, count in enumerate(counts)], may_grow=may_grow
    )


def test_what_stays_is_flat() -> None:
    verdict = judge(curve(*[7.0] * 20))

    assert verdict.is_flat
    assert (verdict.lowest, verdict.mean, verdict.highest, verdict.grew) == (7, 7, 7, 0)


def test_what_rises_by_more_than_it_may_is_not() -> None:
    rising = [100 + number / 2 for number in range(20)]

    assert not judge(curve(*rising)).is_flat
    assert judge(curve(*rising, may_grow=8)).is_flat
    assert judge(curve(*rising)).per_hour == pytest.approx(180)


def test_the_warm_up_does_not_count() -> None:
    assert judge(curve(0, 50, 90, 99, 100, *[100] * 15)).is_flat


def test_ups_and_downs_are_flat() -> None:
    assert judge(curve(*[5, 9] * 20)).is_flat


def test_a_rise_within_the_noise_is_flat_and_one_beyond_it_is_not() -> None:
    waves = [6 + math.sin(number / 7) for number in range(200)]
    slight = judge(curve(*[wave + number / 400 for number, wave in enumerate(waves)], may_grow=0.3))
    steep = judge(curve(*[wave + number / 50 for number, wave in enumerate(waves)], may_grow=0.3))

    assert slight.grew > 0.3
    assert slight.is_flat
    assert steep.error == slight.error > 0
    assert not steep.is_flat


def test_steps_that_stay_are_no_noise() -> None:
    assert not judge(curve(*[number // 50 for number in range(400)])).is_flat


def test_what_falls_is_flat() -> None:
    assert judge(curve(*range(40, 0, -1))).is_flat


def test_too_few_points_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="1 points are no line"):
        judge(curve(1))
