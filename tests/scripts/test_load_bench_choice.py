"""What the benchmark is asked for, and what it will measure therefore."""

from __future__ import annotations

import argparse

import pytest

from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL
from scripts.load_bench.choice import GIVEN, ROOT, Choice, choice_of, parse, sides


def choice(*arguments: str) -> Choice:
    return choice_of(parse(arguments, description=None), arguments)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("ours", ("ours",)), ("serial, ours,serial,roofline", ("serial", "ours", "roofline"))],
)
def test_sides_are_chosen_by_name(text: str, chosen: tuple[str, ...]) -> None:
    assert sides(text) == chosen


@pytest.mark.parametrize("text", ["", "mine", "ours,", "roofline"])
def test_unknown_sides_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        sides(text)


def test_everything_is_measured_unless_it_is_told_otherwise() -> None:
    asked = choice()

    assert asked.title == "demo"
    assert asked.servers == (OURS, SERIAL, LITSERVE, BATCHED)
    assert (asked.has_roofline, asked.has_slices, asked.has_lone_caller) == (True, True, True)
    assert asked.fewer_callers == [5, 10]
    # Of each length 16 closed loops, the roofline, the slices and the lone caller; then the open loop and the mix on
    # each server, and the crowd on ours. The roofline's plans are tried once.
    assert asked.loads == 2 * (3 * 19 + 8 + 1) + 1


def test_quick_run_asks_for_less_of_everything() -> None:
    whole, quick = choice(), choice("--quick")

    assert quick.loads < whole.loads
    assert quick.seconds < whole.seconds
    assert quick.slices < whole.slices
    assert choice("--quick", "--seconds", "3").seconds == 3


def test_running_server_is_compared_with_nothing() -> None:
    asked = choice("--url", "http://127.0.0.1:8080")

    assert asked.servers == (GIVEN,)
    assert (asked.has_roofline, asked.has_slices, asked.has_lone_caller) == (False, False, False)


@pytest.mark.parametrize(
    ("arguments", "slices", "lone"),
    [
        (("--sides", "ours", "--callers", "20"), False, False),
        (("--sides", "ours", "--callers", "1,20"), False, False),
        (("--sides", "ours", "--callers", "10,20"), True, False),
        (("--sides", "ours,roofline", "--callers", "20"), True, False),
        (("--sides", "ours,serial", "--callers", "20"), True, False),
        (("--sides", "ours,serial", "--callers", "1,20"), True, True),
        (("--sides", "serial,litserve,roofline"), False, False),
    ],
)
def test_our_side_takes_turns_with_what_there_is(arguments: tuple[str, ...], slices: bool, lone: bool) -> None:
    asked = choice(*arguments)

    assert (asked.has_slices, asked.has_lone_caller) == (slices, lone)


def test_command_of_the_record_can_be_pasted_in_the_project() -> None:
    command = choice("--out", f"{ROOT}/build/here", "--title", "Two words").command

    assert command == "python scripts/benchmark.py --out build/here --title 'Two words'"


@pytest.mark.parametrize("arguments", [("--rounds", "0"), ("--seconds", "-1"), ("--slices", "0"), ("--callers", "x")])
def test_what_cannot_be_measured_is_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        choice(*arguments)
