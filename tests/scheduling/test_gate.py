from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from transcriber.errors import DeadlineExceeded
from transcriber.scheduling.gate import Gate

PATIENCE_S = 30.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def queue_up(gate: Gate, pool: ThreadPoolExecutor, come: list[int], number: int) -> Future[None]:
    """Let a thread ask for a turn, and return when it stands in the line."""

    def work() -> None:
        with gate.turn(within_s=PATIENCE_S):
            come.append(number)

    before = len(gate._waiting)
    future = pool.submit(work)
    while len(gate._waiting) == before:
        assert not future.done()
    return future


def test_who_comes_alone_does_not_wait() -> None:
    gate = Gate(1)
    for _ in range(3):
        with gate.turn(within_s=0.0):
            pass


def test_as_many_work_at_once_as_there_are_places() -> None:
    gate = Gate(2)
    with (
        gate.turn(within_s=0.0),
        gate.turn(within_s=0.0),
        pytest.raises(DeadlineExceeded, match="ran out of time"),
        gate.turn(within_s=0.0),
    ):
        pytest.fail("there was no place")


def test_first_come_first_served(threads: ThreadPoolExecutor) -> None:
    gate = Gate(1)
    come: list[int] = []
    with gate.turn(within_s=0.0):
        futures = [queue_up(gate, threads, come, number) for number in range(5)]
        assert come == []
    for future in futures:
        future.result(PATIENCE_S)

    assert come == [0, 1, 2, 3, 4]


def test_nobody_overtakes_who_is_called(threads: ThreadPoolExecutor) -> None:
    """A place that becomes free belongs to the first in line, though he has not yet woken up."""
    gate = Gate(1)
    come: list[int] = []
    with gate.turn(within_s=0.0):
        waiting = queue_up(gate, threads, come, 0)
    with gate.turn(within_s=PATIENCE_S):
        come.append(1)
    waiting.result(PATIENCE_S)

    assert come == [0, 1]


def test_who_gives_up_leaves_no_gap_in_the_line(threads: ThreadPoolExecutor) -> None:
    gate = Gate(1)
    come: list[int] = []
    with gate.turn(within_s=0.0):
        with pytest.raises(DeadlineExceeded), gate.turn(within_s=0.0):
            pytest.fail("there was no place")
        waiting = queue_up(gate, threads, come, 0)
    waiting.result(PATIENCE_S)

    with gate.turn(within_s=0.0):
        assert come == [0]


def test_a_place_is_given_back_when_the_work_fails() -> None:
    gate = Gate(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), gate.turn(within_s=0.0):
            raise ZeroDivisionError


def test_many_threads_never_are_more_than_the_places(threads: ThreadPoolExecutor) -> None:
    gate = Gate(3)
    inside: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        with ExitStack() as stack:
            stack.enter_context(gate.turn(within_s=PATIENCE_S))
            with lock:
                inside.append(number)
                most.append(len(inside))
            with lock:
                inside.remove(number)

    list(threads.map(work, range(500)))

    assert max(most) <= 3
    assert gate._free == 3
