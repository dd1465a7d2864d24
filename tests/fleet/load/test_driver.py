from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from fleet.load.driver import complaint_of, drive, run
from fleet.load.errors import CannotMeasure
from fleet.load.http_line import Reply
from fleet.load.plan import Closed, Open, Plan
from tests.fleet.load.conftest import recording
from tests.fleet.load.fake_server import TRANSCRIPT, FakeServer

GOOD = Reply(status=200, body=TRANSCRIPT)


class FakeLine:
    """A line whose answers a function gives, in the caller's thread."""

    def __init__(self, answer: Callable[[bytes], Reply]) -> None:
        self._answer = answer
        self.hung_up = threading.Event()

    def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        return Reply(status=200, body=b"") if path == "/ping" else self._answer(body)

    def hang_up(self) -> None:
        self.hung_up.set()

    def close(self) -> None:
        pass


def test_every_caller_has_a_request_in_flight_at_once() -> None:
    """The barrier opens only when all of them have met in it."""
    meeting = threading.Barrier(7, timeout=60)
    first_round = iter(range(7))

    def answer(_body: bytes) -> Reply:
        if next(first_round, None) is not None:
            meeting.wait()
        return GOOD

    ran = drive(Plan(load=Closed(callers=7, seconds=0.01), recordings=(recording(),)), lambda: FakeLine(answer))

    assert len(ran.samples) >= 7
    assert not any(sample.complaint for sample in ran.samples)


def test_time_counts_only_from_when_everybody_was_answered_once() -> None:
    order: list[bytes] = []
    is_last_in = threading.Event()

    def answer(body: bytes) -> Reply:
        order.append(body)
        if len(order) == 3:
            is_last_in.set()
        assert is_last_in.wait(60)
        return GOOD

    plan = Plan(load=Closed(callers=3, seconds=0.01), recordings=(recording(),))
    ran = drive(plan, lambda: FakeLine(answer))

    assert sum(sample.done_s <= ran.opened_s for sample in ran.samples) >= 3


def test_closed_loop_stays_open_until_enough_answers_came() -> None:
    plan = Plan(load=Closed(callers=2, seconds=0.001, answers=50), recordings=(recording(),))
    ran = drive(plan, lambda: FakeLine(lambda _: GOOD))

    assert sum(ran.opened_s <= sample.done_s <= ran.closed_s for sample in ran.samples) >= 48


def test_whoever_started_it_may_end_it() -> None:
    until = threading.Event()
    numbers = itertools.count(1)

    def answer(_recording: bytes) -> Reply:
        if next(numbers) == 5:
            until.set()
        return GOOD

    plan = Plan(load=Closed(callers=1, seconds=600), recordings=(recording(),))

    assert len(drive(plan, lambda: FakeLine(answer), until=until).samples) == 5


def test_it_may_be_over_before_its_callers_begin() -> None:
    until = threading.Event()
    until.set()
    plan = Plan(load=Closed(callers=3, seconds=600), recordings=(recording(),))

    assert not drive(plan, lambda: FakeLine(lambda _: GOOD), until=until).samples


def test_whoever_started_it_hears_of_each_answer() -> None:
    heard: list[None] = []
    plan = Plan(load=Closed(callers=3, seconds=0.001, answers=9), recordings=(recording(),))
    ran = drive(plan, lambda: FakeLine(lambda _: GOOD), answered=lambda: heard.append(None))

    assert len(heard) == len(ran.samples)


def test_the_span_ends_with_an_answer() -> None:
    plan = Plan(load=Closed(callers=2, seconds=0.001, answers=50), recordings=(recording(),))
    ran = drive(plan, lambda: FakeLine(lambda _: GOOD))

    assert ran.closed_s in {sample.done_s for sample in ran.samples}


def test_recordings_are_sent_in_rotation() -> None:
    recordings = tuple(recording(number) for number in range(3))
    asked: list[bytes] = []

    def answer(body: bytes) -> Reply:
        asked.append(body)
        return GOOD

    plan = Plan(load=Closed(callers=1, seconds=0.001, answers=7), recordings=recordings)
    drive(plan, lambda: FakeLine(answer))

    assert asked[:7] == [recordings[number % 3].body for number in range(7)]


def test_company_is_in_flight_all_the_while_and_counted_apart() -> None:
    long, short = recording(9), recording(0)
    long_is_in = threading.Event()

    def answer(body: bytes) -> Reply:
        if body == long.body:
            long_is_in.set()
        else:
            assert long_is_in.wait(60)
        return GOOD

    plan = Plan(load=Closed(callers=1, seconds=0.01), recordings=(short,), company=(long,))
    ran = drive(plan, lambda: FakeLine(answer))

    assert {sample.recording for sample in ran.samples} == {short}
    assert {sample.recording for sample in ran.company} == {long}


def test_latency_of_an_open_loop_counts_from_the_arrival() -> None:
    """All the arrivals are due while the only answer is held back; they are sent late, and say when they were due."""
    load = Open(rate_per_s=1000, seconds=0.3, arrivals="even")
    everybody_was_due = threading.Event()
    now_s = itertools.count()

    def clock() -> float:
        """Jumps by 10 s a look: every arrival is late from its first moment."""
        return 10.0 * next(now_s)

    def answer(_body: bytes) -> Reply:
        everybody_was_due.set()
        return GOOD

    ran = drive(Plan(load=load, recordings=(recording(),)), lambda: FakeLine(answer), clock=clock)

    assert sorted(sample.due_s - ran.opened_s for sample in ran.samples) == pytest.approx(load.dues_s())
    assert all(sample.done_s - sample.due_s > 1 for sample in ran.samples)
    assert len(ran.samples) == 300


def test_open_loop_does_not_wait_for_answers() -> None:
    """Nobody is answered before all have asked."""
    meeting = threading.Barrier(20, timeout=60)

    def answer(_body: bytes) -> Reply:
        meeting.wait()
        return GOOD

    load = Open(rate_per_s=2000, seconds=0.01)
    ran = drive(Plan(load=load, recordings=(recording(),)), lambda: FakeLine(answer))

    assert len(ran.samples) == 20
    assert ran.closed_s >= max(sample.done_s for sample in ran.samples)


def test_refusals_are_samples_with_a_complaint() -> None:
    replies = itertools.cycle((Reply(status=503, body=b'{"error": "busy"}'), Reply(status=0, body=b"timed out")))
    plan = Plan(load=Closed(callers=1, seconds=0.001, answers=2), recordings=(recording(),))
    ran = drive(plan, lambda: FakeLine(lambda _: next(replies)))

    assert [(sample.status, sample.complaint) for sample in ran.samples][:2] == [
        (503, '503 {"error": "busy"}'),
        (0, "no answer: timed out"),
    ]


@pytest.mark.parametrize(
    "load", [Closed(callers=4, seconds=600), Open(rate_per_s=50, seconds=600)], ids=["closed", "open"]
)
def test_nonsense_ends_the_run_and_cuts_every_line(load: Closed | Open) -> None:
    lines: list[FakeLine] = []
    turns = itertools.count()

    def connect() -> FakeLine:
        line = FakeLine(lambda _: nonsense_or_silence(line))
        lines.append(line)
        return line

    def nonsense_or_silence(line: FakeLine) -> Reply:
        if next(turns) == 1:
            return Reply(status=200, body=b"<html>")
        line.hung_up.wait(60)
        return Reply(status=0, body=b"hung up")

    with pytest.raises(CannotMeasure, match="no transcript: b'<html>'"):
        drive(Plan(load=load, recordings=(recording(),)), connect)
    assert not [thread for thread in threading.enumerate() if thread.name == "load"]


def test_server_that_went_away_ends_the_run() -> None:
    def answer(_body: bytes) -> Reply:
        raise CannotMeasure("nobody listens at 127.0.0.1:1")

    with pytest.raises(CannotMeasure, match="nobody listens"):
        drive(Plan(load=Closed(callers=3, seconds=600), recordings=(recording(),)), lambda: FakeLine(answer))


@pytest.mark.parametrize("body", [b"", b"text", b"[]", b'{"texts": ""}', b'{"text": null}', b"\xff"])
def test_two_hundred_without_a_text_is_nonsense(body: bytes) -> None:
    with pytest.raises(CannotMeasure, match="no transcript"):
        complaint_of(Reply(status=200, body=body))


def test_runs_over_http(server: FakeServer) -> None:
    plan = Plan(load=Closed(callers=3, seconds=0.05), recordings=(recording(0), recording(1)))
    ran = run(plan, server.url)

    assert len(server.peers) == 3
    assert set(server.bodies) == {b"recording 0", b"recording 1"}
    assert {sample.status for sample in ran.samples} == {200}
    assert {ping.status for ping in ran.pings} == {200}
