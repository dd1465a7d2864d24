from __future__ import annotations

from contextlib import ExitStack

import pytest

from transcriber.errors import Busy
from transcriber.scheduling.admission import LONGEST_RETRY_S, Admission


class StepClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def admission(*, requests: int = 2, waiting_s: float = 100.0) -> tuple[Admission, StepClock]:
    clock = StepClock()
    return Admission(limit_requests=requests, limit_waiting_s=waiting_s, clock=clock), clock


def test_as_many_requests_as_allowed_and_not_one_more() -> None:
    door, _clock = admission(requests=2)
    with ExitStack() as stack:
        stack.enter_context(door.admit())
        stack.enter_context(door.admit())
        with pytest.raises(Busy, match="2 requests are in flight") as refusal, door.admit():
            pass
        assert refusal.value.retry_after_s == 1
    with door.admit():
        assert door.requests == 1


@pytest.mark.parametrize(("waiting_s", "is_admitted"), [(59.0, True), (60.0, False), (61.0, False)])
def test_as_much_audio_waits_as_allowed_and_no_more(waiting_s: float, is_admitted: bool) -> None:
    door, _clock = admission(requests=9, waiting_s=60.0)
    with door.admit() as ticket, ExitStack() as stack:
        ticket.count(waiting_s)
        if is_admitted:
            stack.enter_context(door.admit())
        else:
            with pytest.raises(Busy):
                stack.enter_context(door.admit())


def test_waiting_audio_closes_the_door_and_settled_audio_opens_it() -> None:
    door, _clock = admission(requests=9, waiting_s=60.0)
    with door.admit() as ticket:
        ticket.count(60.0)
        with pytest.raises(Busy, match="60 seconds of audio"), door.admit():
            pass
        ticket.settle(1.0)
        with door.admit():
            assert door.waiting_s == 59.0


def test_a_request_that_fails_leaves_nothing_behind() -> None:
    door, _clock = admission()
    with pytest.raises(RuntimeError), door.admit() as ticket:
        ticket.count(50.0)
        raise RuntimeError

    assert (door.requests, door.waiting_s) == (0, 0.0)


def test_no_more_is_settled_than_was_counted() -> None:
    door, _clock = admission(requests=3)
    with door.admit() as other, door.admit() as ticket:
        other.count(10.0)
        ticket.count(5.0)
        ticket.settle(50.0)

        assert door.waiting_s == 10.0


def test_the_advice_when_to_return_follows_the_measured_speed() -> None:
    """10 s of audio took 5 s; 40 s are waiting; half of them are through in 10 s."""
    door, clock = admission(requests=9, waiting_s=40.0)
    with door.admit() as ticket:
        ticket.count(50.0)
        clock.now_s = 5.0
        ticket.settle(10.0)
        with pytest.raises(Busy) as refusal, door.admit():
            pass

    assert refusal.value.retry_after_s == 10


def test_the_advice_is_bounded() -> None:
    door, clock = admission(requests=9, waiting_s=1.0)
    with door.admit() as ticket:
        ticket.count(100_000.0)
        clock.now_s = 1_000.0
        ticket.settle(1.0)
        with pytest.raises(Busy) as refusal, door.admit():
            pass

    assert refusal.value.retry_after_s == LONGEST_RETRY_S


def test_a_request_knows_how_many_others_there_are() -> None:
    admission = Admission(limit_requests=3, limit_waiting_s=9.0, clock=lambda: 0.0)
    with admission.admit() as first:
        assert first.others == 0
        with admission.admit() as second:
            assert (first.others, second.others) == (1, 1)
        assert first.others == 0
