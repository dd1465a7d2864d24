"""Log lines on their way, with a CloudWatch that fails when it is told to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from fleet.emulator.log_lines import LogLines, Stream

ONE, TWO = Stream("eu-central-1", "group", "one"), Stream("eu-central-1", "group", "two")


class Exists(Exception):
    pass


class Clients:
    """Stands for boto3's clients; every call whose turn is in `failing` fails."""

    class exceptions:  # noqa: N801 - boto3's name
        ResourceAlreadyExistsException = Exists

    def __init__(self, failing: set[int], error: type[Exception] = BotoCoreError) -> None:
        self.failing = failing
        self.error = error
        self.turn = 0
        self.sent: list[tuple[str, int]] = []
        self.streams: set[str] = set()

    def get(self, _service: str, _region: str) -> Clients:
        return self

    def create_log_group(self, **_names: Any) -> None:
        raise Exists

    def create_log_stream(self, *, logStreamName: str, **_names: Any) -> None:  # noqa: N803 - boto3's name
        self.streams.add(logStreamName)

    def put_log_events(self, *, logStreamName: str, logEvents: list[Any], **_names: Any) -> None:  # noqa: N803
        self.turn += 1
        times = [event["timestamp"] for event in logEvents]
        if self.turn in self.failing or logStreamName not in self.streams or times != sorted(times):
            raise self.error
        self.sent += [(logStreamName, int(event["message"])) for event in logEvents]


@pytest.fixture
def lines() -> LogLines:
    noted = LogLines()
    for number in range(1500):
        noted.add(ONE, str(number))
    noted.add(TWO, "0")
    return noted


@pytest.mark.parametrize("error", [BotoCoreError, OSError], ids=["refused", "unforeseen"])
@pytest.mark.parametrize("failing", [set(), {1}, {2}, {3}, {1, 2, 4}])
def test_every_line_arrives_once_and_in_order_whatever_fails(
    lines: LogLines, failing: set[int], error: type[Exception]
) -> None:
    clients = Clients(failing, error)
    for _ in range(5):
        with suppress(error):
            lines.send(clients)  # type: ignore[arg-type]

    assert [number for stream, number in clients.sent if stream == "one"] == list(range(1500))
    assert [number for stream, number in clients.sent if stream == "two"] == [0]


def test_a_stream_that_cannot_be_written_holds_up_no_other(lines: LogLines) -> None:
    clients = Clients(failing={1})

    with pytest.raises(BotoCoreError):
        lines.send(clients)  # type: ignore[arg-type]

    assert clients.sent == [("two", 0)]


def test_a_stream_that_was_forgotten_is_made_again(lines: LogLines) -> None:
    clients = Clients(failing=set())
    lines.send(clients)  # type: ignore[arg-type]
    clients.streams.clear()
    lines.add(ONE, "1500")
    for _ in range(2):
        with suppress(BotoCoreError):
            lines.send(clients)  # type: ignore[arg-type]

    assert clients.sent[-1] == ("one", 1500)


def test_lines_arrive_although_the_clock_was_set_back() -> None:
    noted, clients = LogLines(clock=iter([100.0, 99.9, 100.1]).__next__), Clients(failing=set())
    for number in range(3):
        noted.add(ONE, str(number))

    noted.send(clients)  # type: ignore[arg-type]

    assert clients.sent == [("one", 0), ("one", 1), ("one", 2)]
