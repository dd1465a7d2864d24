from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.load.plan import Arrivals, Closed, Open, Plan

rates = st.floats(0.1, 200)
times = st.floats(0.1, 20)


@given(rate=rates, seconds=times, arrivals=st.sampled_from(["poisson", "even"]), seed=st.integers(0, 99))
def test_arrivals_keep_the_rate_and_their_order(rate: float, seconds: float, arrivals: Arrivals, seed: int) -> None:
    dues_s = Open(rate_per_s=rate, seconds=seconds, arrivals=arrivals, seed=seed).dues_s()

    assert len(dues_s) == max(1, round(rate * seconds))
    assert dues_s == sorted(dues_s)
    assert 0 <= dues_s[0] <= dues_s[-1] <= seconds + 1 / rate


@given(seed=st.integers(0, 99))
def test_equal_seeds_give_equal_arrivals(seed: int) -> None:
    """Every server gets the same strangers."""
    load = Open(rate_per_s=10, seconds=3, seed=seed)

    assert load.dues_s() == load.dues_s()
    assert load.dues_s() != Open(rate_per_s=10, seconds=3, seed=seed + 1).dues_s()


def test_even_arrivals_are_a_metronome() -> None:
    assert Open(rate_per_s=4, seconds=1, arrivals="even").dues_s() == [0.0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_crowd_as_strangers_do() -> None:
    """The gaps of a Poisson process vary as much as their mean; those of a metronome do not vary."""
    dues_s = Open(rate_per_s=100, seconds=20, seed=1).dues_s()
    gaps = [after - before for before, after in itertools.pairwise(dues_s)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5

    assert deviation == pytest.approx(mean, rel=0.1)


@pytest.mark.parametrize(("callers", "seconds"), [(0, 1.0), (1, 0.0)])
def test_no_callers_or_no_time_make_no_load(callers: int, seconds: float) -> None:
    with pytest.raises(ValueError, match="make no load"):
        Closed(callers=callers, seconds=seconds)


@pytest.mark.parametrize(("rate", "seconds"), [(0.0, 1.0), (1.0, -1.0)])
def test_no_rate_or_no_time_make_no_load(rate: float, seconds: float) -> None:
    with pytest.raises(ValueError, match="make no load"):
        Open(rate_per_s=rate, seconds=seconds)


def test_plan_needs_something_to_send() -> None:
    with pytest.raises(ValueError, match="at least one recording"):
        Plan(load=Closed(callers=1, seconds=1), recordings=())
