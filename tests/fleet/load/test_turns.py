from __future__ import annotations

import pytest

from fleet.load.record import OURS, SERIAL
from fleet.load.sides import Side
from fleet.load.turns import Loads, Turns
from tests.fleet.load.conftest import recording
from tests.fleet.load.fake_server import FakeServer

BESIDE = "beside"


def order_of(server: FakeServer, sides: tuple[str, ...], *, rounds: int) -> list[str]:
    """Run the closed loop at one and two callers and return what was measured, in order."""
    told: list[str] = []
    turns = Turns(
        loads=Loads(callers=(1, 2), recordings={15: (recording(),)}, seconds=0.01),
        sides=[Side(name=name, url=server.url) for name in sides],
        tell=told.append,
    )
    for _ in range(rounds):
        turns.closed(15, beside=lambda: told.append(BESIDE))
    return told


@pytest.mark.parametrize(
    ("sides", "compared"),
    [((OURS,), "this container"), ((SERIAL, OURS), "this container"), ((SERIAL,), "one request at a time")],
)
def test_roofline_is_measured_right_before_what_it_is_compared_with(
    server: FakeServer, sides: tuple[str, ...], compared: str
) -> None:
    told = order_of(server, sides, rounds=3)

    assert told.count(BESIDE) == 3
    assert all(told[i + 1] == f"{compared}: closed, 2 callers, 15 s" for i, it in enumerate(told) if it == BESIDE)


def test_another_side_is_first_each_time(server: FakeServer) -> None:
    ours, other = "this container: closed, {} callers, 15 s", "one request at a time: closed, {} callers, 15 s"

    assert [it for it in order_of(server, (OURS, SERIAL), rounds=1) if it != BESIDE] == [
        ours.format(1),
        other.format(1),
        other.format(2),
        ours.format(2),
    ]
