from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError

import pytest

from tests.scheduling.stepping import WAIT_S, FakeEngine, StepClock, hypothesis
from transcriber.engines.base import Retry
from transcriber.errors import DeadlineExceeded, DeviceFault, Stopping
from transcriber.observability.accounts import BatchAccount
from transcriber.scheduling.scheduler import Scheduler
from transcriber.transcript import Hypothesis


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def told() -> list[BatchAccount]:
    return []


@pytest.fixture
def start(clock: StepClock, told: list[BatchAccount]) -> Iterator[Callable[[FakeEngine], Scheduler[str]]]:
    started: list[tuple[Scheduler[str], FakeEngine]] = []

    def begin(engine: FakeEngine) -> Scheduler[str]:
        scheduler: Scheduler[str] = Scheduler(engine, clock=clock, tell=told.append)
        scheduler.start()
        started.append((scheduler, engine))
        return scheduler

    yield begin
    for scheduler, engine in started:
        engine.open(100)
        scheduler.close()


Start = Callable[[FakeEngine], Scheduler[str]]


def test_a_lone_window_starts_at_once_and_those_that_come_meanwhile_share_a_batch(start: Start) -> None:
    engine = FakeEngine()
    scheduler = start(engine)
    first = scheduler.submit("k:0", request=0, deadline_s=9.0)
    engine.wait_begun()
    others = [scheduler.submit(f"k:{i}", request=i, deadline_s=9.0) for i in range(1, 4)]
    engine.open(2)

    assert [f.result(WAIT_S).hypothesis.language for f in (first, *others)] == ["k:0", "k:1", "k:2", "k:3"]
    assert engine.batches == [["k:0"], ["k:1", "k:2", "k:3"]]
    assert others[0].result().batch_windows == 3


def test_a_doubtful_window_returns_and_joins_a_later_batch(start: Start) -> None:
    def behave(batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        return [Retry(work="hot:again") if work == "cold:bad" else hypothesis(work) for work in batch]

    engine = FakeEngine(behave=behave)
    scheduler = start(engine)
    blocker = scheduler.submit("x:0", request=9, deadline_s=9.0)
    engine.wait_begun()
    bad = scheduler.submit("cold:bad", request=1, deadline_s=9.0)
    good = scheduler.submit("cold:good", request=2, deadline_s=9.0)
    engine.open(3)

    assert bad.result(WAIT_S).hypothesis.language == "hot:again"
    assert bad.result().tries == 2
    assert good.result(WAIT_S).tries == 1
    assert blocker.result(WAIT_S).tries == 1
    assert engine.batches == [["x:0"], ["cold:bad", "cold:good"], ["hot:again"]]


def test_only_the_window_at_fault_fails(start: Start) -> None:
    def behave(batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        if "k:poison" in batch:
            raise ValueError("secret inside")
        return [hypothesis(work) for work in batch]

    engine = FakeEngine(behave=behave)
    scheduler = start(engine)
    scheduler.submit("x:0", request=9, deadline_s=9.0)
    engine.wait_begun()
    futures = {
        n: scheduler.submit(f"k:{n}", request=i, deadline_s=9.0) for i, n in enumerate(["a", "poison", "b", "c"])
    }
    engine.open(20)

    assert [futures[n].result(WAIT_S).hypothesis.language for n in "abc"] == ["k:a", "k:b", "k:c"]
    with pytest.raises(DeviceFault, match="the model failed on this audio"):
        futures["poison"].result(WAIT_S)
    assert scheduler.fault is None


def without_memory_above(limit: int) -> Callable[[Sequence[str]], list[Hypothesis | Retry[str]]]:
    def behave(batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        if len(batch) > limit:
            raise DeviceFault("the device has not enough memory for this batch", out_of_memory=True)
        return [hypothesis(work) for work in batch]

    return behave


@pytest.mark.parametrize(("limit", "expected"), [(5, [9, 4, 5, 4, 4, 1]), (3, [9, 4, 2, 2, 5, 2, 3, 2, 2, 2, 2, 1])])
def test_batches_are_no_larger_than_what_the_memory_held_before(limit: int, expected: list[int], start: Start) -> None:
    engine = FakeEngine(largest_batch=9, behave=without_memory_above(limit))
    scheduler = start(engine)
    blocker = scheduler.submit("x:0", request=99, deadline_s=9.0)
    engine.wait_begun()
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=9.0) for i in range(18)]
    engine.open(100)

    assert [future.result(WAIT_S).hypothesis.language for future in futures] == [f"k:{i}" for i in range(18)]
    assert blocker.result(WAIT_S).batch_windows == 1
    assert [len(batch) for batch in engine.batches[1:]] == expected


def test_a_fault_that_is_not_for_memory_leaves_batches_as_large_as_they_were(start: Start) -> None:
    def behave(batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        if "k:poison" in batch:
            raise DeviceFault("the model failed on this audio")
        return [hypothesis(work) for work in batch]

    engine = FakeEngine(behave=behave)
    scheduler = start(engine)
    scheduler.submit("x:0", request=99, deadline_s=9.0)
    engine.wait_begun()
    names = ["poison", "a", "b", "c", "d", "e", "f", "g"]
    futures = [scheduler.submit(f"k:{name}", request=i, deadline_s=9.0) for i, name in enumerate(names)]
    engine.open(100)

    assert [future.result(WAIT_S).batch_windows for future in futures[4:]] == [4] * 4
    with pytest.raises(DeviceFault):
        futures[0].result(WAIT_S)


def test_one_window_that_the_memory_cannot_hold_fails_alone(start: Start) -> None:
    engine = FakeEngine(behave=without_memory_above(0))
    scheduler = start(engine)
    engine.open(100)

    with pytest.raises(DeviceFault, match="not enough memory"):
        scheduler.submit("k:0", request=0, deadline_s=9.0).result(WAIT_S)
    assert scheduler.fault is None


def test_an_engine_that_loses_a_window_is_held_to_its_contract(start: Start) -> None:
    engine = FakeEngine(behave=lambda _batch: [])
    scheduler = start(engine)
    engine.open(5)

    with pytest.raises(DeviceFault, match="0 outcomes for a batch of 1"):
        scheduler.submit("k:0", request=0, deadline_s=9.0).result(WAIT_S)


def test_a_fatal_fault_answers_everybody_at_once(start: Start) -> None:
    def behave(_batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        raise DeviceFault("the device failed: CUDA error", fatal=True)

    engine = FakeEngine(largest_batch=1, behave=behave)
    scheduler = start(engine)
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=9.0) for i in range(5)]
    engine.open(1)

    for future in futures:
        with pytest.raises(DeviceFault, match="CUDA"):
            future.result(WAIT_S)
    assert len(engine.batches) == 1
    with pytest.raises(DeviceFault, match="CUDA"):
        scheduler.submit("k:9", request=9, deadline_s=9.0)


def test_a_replica_that_ends_by_a_slip_of_ours_answers_everybody_and_says_so(start: Start) -> None:
    """Without that windows would wait for nobody, and /ping would say that all is well."""

    class Slipping(FakeEngine):
        def batch_key(self, work: str) -> str:
            if work == "again":
                raise KeyError("a slip of ours")
            return super().batch_key(work)

    engine = Slipping(largest_batch=1, behave=lambda _batch: [Retry(work="again")])
    scheduler = start(engine)
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=9.0) for i in range(3)]
    engine.open(3)

    for future in futures:
        with pytest.raises(DeviceFault, match="its log says why"):
            future.result(WAIT_S)
    assert scheduler.fault is not None
    assert scheduler.fault.fatal


def test_windows_whose_time_is_up_fail_without_being_worked_on(start: Start, clock: StepClock) -> None:
    engine = FakeEngine()
    scheduler = start(engine)
    first = scheduler.submit("k:0", request=0, deadline_s=50.0)
    engine.wait_begun()
    late = scheduler.submit("k:late", request=1, deadline_s=5.0)
    clock.now_s = 6.0
    engine.open(1)

    first.result(WAIT_S)
    with pytest.raises(DeadlineExceeded):
        late.result(WAIT_S)
    assert engine.batches == [["k:0"]]


def test_a_cancelled_window_is_not_worked_on(start: Start) -> None:
    engine = FakeEngine()
    scheduler = start(engine)
    scheduler.submit("k:0", request=0, deadline_s=9.0)
    engine.wait_begun()
    gone = scheduler.submit("k:gone", request=1, deadline_s=9.0)
    kept = scheduler.submit("k:kept", request=2, deadline_s=9.0)
    assert gone.cancel()
    engine.open(2)

    assert kept.result(WAIT_S).batch_windows == 1
    with pytest.raises(CancelledError):
        gone.result(WAIT_S)
    assert engine.batches == [["k:0"], ["k:kept"]]


def test_closing_refuses_what_waits_and_finishes_what_runs(start: Start) -> None:
    engine = FakeEngine(largest_batch=1)
    scheduler = start(engine)
    running = scheduler.submit("k:0", request=0, deadline_s=9.0)
    engine.wait_begun()
    waiting = scheduler.submit("k:1", request=1, deadline_s=9.0)
    engine.open(1)
    scheduler.close()

    assert running.result(WAIT_S).hypothesis.language == "k:0"
    assert waiting.done()
    with pytest.raises(Stopping):
        scheduler.submit("k:2", request=2, deadline_s=9.0)


def test_replicas_work_side_by_side(start: Start) -> None:
    engine = FakeEngine(replicas=2, largest_batch=1)
    scheduler = start(engine)
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=9.0) for i in range(2)]
    engine.wait_begun()
    engine.wait_begun()
    engine.open(2)

    assert [future.result(WAIT_S).batch_windows for future in futures] == [1, 1]


def test_a_newcomer_goes_before_the_next_window_of_whoever_is_being_worked_on(start: Start) -> None:
    engine = FakeEngine(replicas=2, largest_batch=1)
    scheduler = start(engine)
    futures = [scheduler.submit(f"k:long-{i}", request=1, deadline_s=9.0) for i in range(4)]
    engine.wait_begun()
    engine.wait_begun()
    futures.append(scheduler.submit("k:short", request=2, deadline_s=9.0))
    engine.open()
    engine.wait_begun()

    assert engine.batches[2] == ["k:short"]
    engine.open(4)
    for future in futures:
        future.result(WAIT_S)


def test_turns_begin_anew_when_nothing_is_being_worked_on(start: Start) -> None:
    engine = FakeEngine(largest_batch=1)
    scheduler = start(engine)
    engine.open(2)
    for _ in range(2):
        scheduler.submit("k:first", request=1, deadline_s=9.0).result(WAIT_S)
        engine.wait_begun()
    blocked = scheduler.submit("k:other", request=3, deadline_s=9.0)
    engine.wait_begun()
    futures = [scheduler.submit(f"k:{request}", request=request, deadline_s=9.0) for request in (1, 2)]
    engine.open(3)
    for future in (blocked, *futures):
        future.result(WAIT_S)

    assert engine.batches[-2:] == [["k:1"], ["k:2"]]


def test_time_spent_waiting_and_working_is_told(start: Start, clock: StepClock) -> None:
    engine = FakeEngine(largest_batch=1)
    scheduler = start(engine)
    scheduler.submit("k:0", request=0, deadline_s=90.0)
    engine.wait_begun()
    second = scheduler.submit("k:1", request=1, deadline_s=90.0)
    clock.now_s = 3.0
    engine.open(1)
    engine.wait_begun()
    clock.now_s = 5.0
    engine.open(1)

    served = second.result(WAIT_S)
    assert (served.waited_s, served.worked_s) == (3.0, 2.0)


def test_every_batch_is_told_before_its_windows_are_answered(
    start: Start, clock: StepClock, told: list[BatchAccount]
) -> None:
    engine = FakeEngine(behave=without_memory_above(1))
    scheduler = start(engine)
    assert scheduler.largest_batch == 4
    blocker = scheduler.submit("x:0", request=9, deadline_s=90.0)
    engine.wait_begun()
    assert (scheduler.n_running, scheduler.n_waiting) == (1, 0)
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=90.0) for i in range(2)]
    clock.now_s = 3.0
    engine.open(1)
    blocker.result(WAIT_S)
    engine.wait_begun()
    assert told == [BatchAccount(windows=1, took_s=3.0, waits_s=(0.0,))]

    for _ in range(3):  # both together, which the memory does not hold, then one after the other
        clock.now_s += 2.0
        engine.open(1)
    served = [future.result(WAIT_S) for future in futures]
    assert told[1].is_failed
    assert [(batch.windows, batch.is_failed) for batch in told[1:]] == [(2, True), (1, False), (1, False)]
    assert told[1].waits_s == (3.0, 3.0)
    assert sum(batch.took_s for batch in told[1:]) == pytest.approx(sum(window.device_s for window in served))
    assert scheduler.largest_batch == 1


def test_a_window_has_its_share_of_the_batch(start: Start, clock: StepClock) -> None:
    engine = FakeEngine()
    scheduler = start(engine)
    scheduler.submit("x:0", request=9, deadline_s=90.0)
    engine.wait_begun()
    futures = [scheduler.submit(f"k:{i}", request=i, deadline_s=90.0) for i in range(4)]
    engine.open(1)
    engine.wait_begun()
    clock.now_s = 6.0
    engine.open(1)

    assert [(future.result(WAIT_S).worked_s, future.result().device_s) for future in futures] == [(6.0, 1.5)] * 4
