"""Log lines on their way, with a CloudWatch that fails when it is told to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from fleet.emulator.log_lines import LogLines, Stream

ONE, TWO = Stream("eu-central-1", "group", "one"), Stream("eu-central-1", "group", "two")


class Exists(Exception):
    pass


class Clients:
    """Stands for boto3's clients; every call whose turn is in `failing` fails."""

    class exceptions:  # noqa: N801 - boto3's name
        ResourceAlreadyExistsException = Exists

    def __init__(self, failing: set[int]) -> None:
        self.failing = failing
        self.turn = 0
        self.sent: list[tuple[str, int]] = []

    def get(self, _service: str, _region: str) -> Clients:
        return self

    def create_log_group(self, **_names: Any) -> None:
        raise Exists

    def create_log_stream(self, **_names: Any) -> None:
        pass

    def put_log_events(self, *, logStreamName: str, logEvents: list[Any], **_names: Any) -> None:  # noqa: N803
        self.turn += 1
        if self.turn in self.failing:
            raise OSError
        self.sent += [(logStreamName, int(event["message"])) for event in logEvents]


@pytest.fixture
def lines() -> LogLines:
    noted = LogLines()
    for number in range(1500):
        noted.add(ONE, str(number))
    noted.add(TWO, "0")
    return noted


@pytest.mark.parametrize("failing", [set(), {1}, {2}, {3}, {1, 2, 4}])
def test_every_line_arrives_once_and_in_order_whatever_fails(lines: LogLines, failing: set[int]) -> None:
    clients = Clients(failing)
    for _ in range(5):
        with suppress(OSError):
            lines.send(clients)  # type: ignore[arg-type]

    assert [number for stream, number in clients.sent if stream == "one"] == list(range(1500))
    assert [number for stream, number in clients.sent if stream == "two"] == [0]
