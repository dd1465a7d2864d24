from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from tests.observability.test_emf import check_embedded
from transcriber.observability import emf, ledger
from transcriber.observability.accounts import Account, Costs, Occupancy, SourceKind
from transcriber.observability.ledger import Ledger
from transcriber.observability.metrics import Metrics
from transcriber.observability.timeline import Timeline

Lines = list[dict[str, Any]]
Answer = Callable[[Account], Iterator[bytes]]

COSTS = Costs(audio_bytes=9, audio_s=60.0, speech_s=40.0, windows=2, largest_batch=4, mean_batch=3.0, device_s=0.5)


class House:
    """A ledger around an application that answers as the test says."""

    def __init__(self, answer: Answer, **options: Any) -> None:
        self.timeline = Timeline()
        self.metrics = Metrics(self.timeline)
        self.metrics.watch(
            lambda: Occupancy(requests=2, waiting_windows=5, waiting_audio_s=33.33), limit_requests=9, limit_waiting_s=9
        )
        self.now_s = 100.0

        def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            return answer(environ[ledger.KEY])

        self.ledger = Ledger(
            application, metrics=self.metrics, timeline=self.timeline, clock=lambda: self.now_s, **options
        )

    def call(self, *, connection: socket.socket | None = None, parts: int | None = None) -> list[bytes]:
        """Call it as a server does, and take all parts of the answer or only some."""
        answer = self.ledger({ledger.SOCKET: connection}, lambda *_: lambda _: None)
        taken = []
        try:
            for number, part in enumerate(answer):
                taken.append(part)
                self.now_s += 1.0
                if parts is not None and number + 1 == parts:
                    break
        finally:
            answer.close()
        return taken

    def counted(self) -> dict[tuple[str, str], float]:
        page = self.metrics.page().decode()
        family = next(one for one in text_string_to_metric_families(page) if one.name == "stt_requests")
        return {(one.labels["source"], one.labels["outcome"]): one.value for one in family.samples if one.value}


def done(account: Account) -> Iterator[bytes]:
    account.is_told = True
    account.request_id, account.route = "abc", "/invocations"
    account.source, account.address = SourceKind.S3, "s3://calls/miss marple.mp3"
    account.form, account.costs = "json", lambda: COSTS
    yield b"one"
    yield b"two"


def refused(account: Account) -> Iterator[bytes]:
    account.refuse("busy", "come back later", is_ours=True)
    yield b"no"


def broken(account: Account) -> Iterator[bytes]:
    account.is_told = True
    yield b"half of it"
    raise KeyError("a slip of ours")


def silent(_account: Account) -> Iterator[bytes]:
    yield b""


def test_a_request_that_was_answered_has_one_line_with_everything(lines: Lines) -> None:
    house = House(done)

    assert house.call() == [b"one", b"two"]
    (line,) = lines
    assert (line["event"], line["level"], line["status"], line["outcome"]) == ("request done", "INFO", 200, "ok")
    assert (line["request_id"], line["source"], line["answer_bytes"], line["total_s"]) == ("abc", "s3", 6, 2.0)
    assert (line["audio_s"], line["mean_batch"], line["device_s"]) == (60.0, 3.0, 0.5)
    assert (line["in_flight"], line["waiting_windows"], line["waiting_audio_s"]) == (2, 5, 33.3)
    assert house.counted() == {("s3", "ok"): 1}


@pytest.mark.parametrize("answer", [done, refused, broken])
def test_every_line_has_the_fields_that_are_documented_and_no_others(answer: Answer, lines: Lines) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8").partition("## The line of")[2].partition("\n### ")[0]
    house = House(answer)
    with suppress(KeyError):
        house.call()

    (line,) = lines
    fields = set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE))
    assert set(line) - {"time", "level", "event", "stack"} == fields
    assert ("stack" in line) is (answer is broken)


def test_a_request_that_was_refused_has_one_line(lines: Lines) -> None:
    house = House(refused)
    house.call()

    (line,) = lines
    assert (line["event"], line["level"], line["outcome"]) == ("request refused", "ERROR", "busy")
    assert line["reason"] == "come back later"
    assert house.counted() == {("none", "busy"): 1}


def test_a_reader_who_leaves_is_told_as_gone(lines: Lines) -> None:
    House(done).call(parts=1)

    (line,) = lines
    assert (line["event"], line["outcome"], line["client_gone"]) == ("request abandoned", "client_gone", True)


def test_a_failure_that_nobody_foresaw_has_its_stack_in_the_line(lines: Lines) -> None:
    house = House(broken)
    with pytest.raises(KeyError):
        house.call()

    (line,) = lines
    assert (line["event"], line["level"], line["outcome"]) == ("request failed", "ERROR", "internal_error")
    assert "a slip of ours" in line["stack"]
    assert house.counted() == {("none", "internal_error"): 1}


def test_an_application_that_raises_is_told_and_the_server_learns_of_it(lines: Lines) -> None:
    def answer(_account: Account) -> Iterator[bytes]:
        raise MemoryError

    with pytest.raises(MemoryError):
        House(answer).call()
    (line,) = lines
    assert (line["event"], line["outcome"]) == ("request failed", "internal_error")


def test_a_ping_has_no_line(lines: Lines) -> None:
    house = House(silent)
    house.call()

    assert lines == []
    assert house.counted() == {}


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_caller_who_hung_up_before_the_answer_is_gone(
    wire: tuple[socket.socket, socket.socket], lines: Lines
) -> None:
    ours, theirs = wire
    house = House(done)
    house.call(connection=ours)
    theirs.send(b"the next request")
    house.call(connection=ours)
    assert ours.recv(100) == b"the next request"
    theirs.close()
    house.call(connection=ours)

    assert [line["client_gone"] for line in lines] == [False, False, True]
    assert house.counted() == {("s3", "ok"): 2, ("s3", "client_gone"): 1}


def test_where_a_recording_lies_is_told_only_for_debugging(lines: Lines) -> None:
    def forbidden(account: Account) -> Iterator[bytes]:
        yield from done(account)
        account.refuse("source_forbidden", "S3 does not let us read s3://calls/miss marple.mp3 (403)", is_ours=False)

    def slipped(account: Account) -> Iterator[bytes]:
        yield from done(account)
        ledger.fail(account, KeyError(account.address))

    House(slipped).call()
    House(forbidden).call()
    House(forbidden, is_debugging=True).call()

    failed, quiet, debugging = lines
    assert "KeyError" in failed["stack"]
    assert not any("marple" in str(value) for line in (failed, quiet) for value in line.values())
    assert quiet["reason"] == "S3 does not let us read the recording (403)"
    assert debugging["address"] == "s3://calls/miss marple.mp3"
    assert "marple" in debugging["reason"]


@pytest.mark.parametrize("answer", [done, refused])
def test_a_line_is_a_metric_when_that_is_asked_for(answer: Answer, lines: Lines) -> None:
    house = House(answer, emf_namespace="SpeechToText/calls", wall_clock=lambda: 1.7e9)
    house.call()

    (line,) = lines
    assert check_embedded(line) == set(emf.units_of(line["outcome"]))
    assert line["_aws"]["Timestamp"] == 1_700_000_000_000
    assert line["requests"] == 1
    assert line["answered"] == int(answer is done)


def test_metrics_are_written_whatever_the_log_level(lines: Lines) -> None:
    log = logging.getLogger("transcriber.observability.ledger")
    log.setLevel(logging.ERROR)
    House(done).call()
    assert lines == []

    House(done, emf_namespace="SpeechToText/calls").call()
    assert len(lines) == 1


def test_the_first_healthy_ping_tells_of_the_start_and_no_other_does(lines: Lines) -> None:
    house = House(silent, emf_namespace="SpeechToText/calls")
    house.timeline.mark("ready")
    house.ledger.note_ping()
    house.ledger.note_ping()

    (line,) = lines
    assert line["event"] == "first healthy ping"
    assert line["ready_after_s"] <= line["first_healthy_ping_after_s"] == line["cold_start_s"]
    assert check_embedded(line) == {"cold_start_s"}
