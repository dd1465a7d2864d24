from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transcriber.scheduling.policy import Waiting, expired, next_batch

windows = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.floats(0, 20)), max_size=40).map(
    lambda rows: [
        Waiting(arrival=i, request=request, key=key, deadline_s=deadline)
        for i, (request, key, deadline) in enumerate(rows)
    ]
)
limits = st.integers(1, 16)
replicas = st.integers(1, 4)


def line(*requests: int, key: str = "k") -> list[Waiting]:
    return [Waiting(arrival=i, request=r, key=key, deadline_s=100.0) for i, r in enumerate(requests)]


def arrivals(batch: list[Waiting]) -> list[int]:
    return [window.arrival for window in batch]


@given(windows, limits, replicas)
def test_batches_never_exceed_the_engine_and_never_mix_keys(waiting: list[Waiting], largest: int, idle: int) -> None:
    batch = next_batch(waiting, now_s=10.0, largest_batch=largest, idle_replicas=idle)

    assert len(batch) <= largest
    assert len({window.key for window in batch}) <= 1
    assert len(set(arrivals(batch))) == len(batch)


@given(windows, limits, replicas)
def test_work_is_never_held_back(waiting: list[Waiting], largest: int, idle: int) -> None:
    alive = [window for window in waiting if window.deadline_s > 10.0]

    assert bool(next_batch(waiting, now_s=10.0, largest_batch=largest, idle_replicas=idle)) == bool(alive)


@given(windows, limits)
def test_what_is_late_is_never_worked_on(waiting: list[Waiting], largest: int) -> None:
    batch = next_batch(waiting, now_s=10.0, largest_batch=largest)
    late = expired(waiting, now_s=10.0)

    assert not set(arrivals(batch)) & set(arrivals(late))


@given(windows, limits)
def test_the_order_in_which_windows_are_listed_does_not_matter(waiting: list[Waiting], largest: int) -> None:
    forward = next_batch(waiting, now_s=10.0, largest_batch=largest)
    backward = next_batch(waiting[::-1], now_s=10.0, largest_batch=largest)

    assert forward == backward


@given(st.integers(1, 60), limits)
def test_a_late_short_request_joins_the_very_next_batch(long_windows: int, largest: int) -> None:
    """Whatever an hour-long recording has queued, at most one of its windows goes before a newcomer's first."""
    waiting = line(*[1] * long_windows, 2)
    batch = next_batch(waiting, now_s=0.0, largest_batch=max(2, largest))

    assert waiting[-1] in batch


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), limits)
def test_everything_is_served_in_the_end(requests: list[int], largest: int) -> None:
    waiting = line(*requests)
    served: list[int] = []
    while waiting:
        batch = next_batch(waiting, now_s=0.0, largest_batch=largest)
        served += arrivals(batch)
        waiting = [window for window in waiting if window not in batch]

    assert sorted(served) == list(range(len(requests)))


def test_requests_take_turns() -> None:
    assert arrivals(next_batch(line(1, 1, 1, 2, 3), now_s=0.0, largest_batch=4)) == [0, 3, 4, 1]


def test_who_is_being_worked_on_has_had_his_turn() -> None:
    assert arrivals(next_batch(line(1, 1, 2), now_s=0.0, largest_batch=1, at_work={1: 1})) == [2]
    assert arrivals(next_batch(line(1, 1, 2), now_s=0.0, largest_batch=1, at_work={1: 1, 2: 1})) == [0]
    assert arrivals(next_batch(line(1, 2, 3), now_s=0.0, largest_batch=1, at_work={1: 2, 2: 1, 3: 1})) == [1]


@given(st.integers(1, 60), st.integers(1, 4))
def test_a_late_short_request_is_next_beside_one_that_is_being_worked_on(long_windows: int, at_work: int) -> None:
    batch = next_batch(line(*[1] * long_windows, 2), now_s=0.0, largest_batch=1, at_work={1: at_work})

    assert arrivals(batch) == [long_windows]


def test_the_key_of_the_window_whose_turn_it_is_decides() -> None:
    waiting = [
        Waiting(arrival=0, request=1, key="rare", deadline_s=9.0),
        *(Waiting(arrival=i, request=i + 1, key="common", deadline_s=9.0) for i in range(1, 6)),
    ]

    assert arrivals(next_batch(waiting, now_s=0.0, largest_batch=8)) == [0]
    assert arrivals(next_batch(waiting[1:], now_s=0.0, largest_batch=8)) == [1, 2, 3, 4, 5]


def test_idle_replicas_share_what_waits() -> None:
    assert len(next_batch(line(*range(6)), now_s=0.0, largest_batch=8, idle_replicas=2)) == 3
    assert len(next_batch(line(1), now_s=0.0, largest_batch=8, idle_replicas=4)) == 1


def test_a_window_that_returns_keeps_its_place() -> None:
    waiting = line(1, 2, 3)
    returned = Waiting(arrival=0, request=1, key="k", deadline_s=100.0)

    assert arrivals(next_batch([*waiting[1:], returned], now_s=0.0, largest_batch=2)) == [0, 1]
