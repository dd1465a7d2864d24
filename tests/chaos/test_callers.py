"""What excuses a call, and what does not."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

import pytest

from tests.chaos.callers import Books, Outcome, Refused, Times, call
from tests.conftest import Recording, recordings

RECORDING = recordings()[0]
WORDS = {RECORDING.path.name: "the words"}


def outcome_of(answer: Callable[[], str], times: Times) -> tuple[Outcome, Books]:
    books = Books(words=WORDS)

    def send(_caller: http.client.HTTPConnection, _recording: Recording) -> str:
        return answer()

    return call(1, send, RECORDING, times=times, books=books), books


def raising(error: Exception) -> Callable[[], str]:
    def answer() -> str:
        raise error

    return answer


def ready() -> Times:
    times = Times()
    times.note_ready()
    return times


def test_only_the_very_words_are_right() -> None:
    assert outcome_of(lambda: "the words", ready())[0] is Outcome.RIGHT
    assert outcome_of(lambda: "the word", ready())[0] is Outcome.WRONG


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (503, "busy", Outcome.REFUSED),
        (503, "stopping", Outcome.REFUSED),
        (503, "model_not_ready", Outcome.OURS),
        (503, "", Outcome.OURS),
        (500, "internal_error", Outcome.OURS),
        (502, "source_unavailable", Outcome.OURS),
        (504, "deadline_exceeded", Outcome.OURS),
        (415, "not_audio", Outcome.WRONG),
    ],
)
def test_a_refusal_while_all_is_well(status: int, code: str, outcome: Outcome) -> None:
    answered, books = outcome_of(raising(Refused(status, code, b"")), ready())

    assert answered is outcome
    assert bool(books.faults) == (outcome is not Outcome.REFUSED)


def test_not_ready_is_the_truth_while_it_is_not_ready() -> None:
    assert outcome_of(raising(Refused(503, "model_not_ready", b"")), Times())[0] is Outcome.REFUSED


def test_a_cut_call_is_excused_by_a_kill_while_it_lasted_and_by_nothing_else() -> None:
    cut = http.client.RemoteDisconnected("no answer")
    killed = ready()

    assert outcome_of(raising(cut), ready())[0] is Outcome.CUT
    assert killed.excuse(10.0, 12.0) is Outcome.CUT
    killed.kills_s.append(11.0)
    assert killed.excuse(10.0, 12.0) is Outcome.EXCUSED
    assert killed.excuse(11.5, 12.0) is Outcome.CUT


def test_a_call_that_was_let_in_before_sigterm_must_be_answered() -> None:
    times = Times()
    now_s = time.monotonic()
    times.stops_s.append(now_s + 11)

    assert times.excuse(now_s + 10, now_s + 12) is Outcome.CUT
    assert times.excuse(now_s + 11.5, now_s + 12) is Outcome.UNREACHED
    times.note_ready()
    assert times.excuse(now_s + 11.5, now_s + 12) is Outcome.CUT
