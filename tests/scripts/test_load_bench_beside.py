"""Programs in turns: with a clock that is stepped, and with real processes and servers that do nothing much."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleet.load.errors import CannotMeasure
from fleet.load.sides import Side
from fleet.load.slices import ROOFLINE, UNDER_WAY_S, Slice, Sliced
from scripts.load_bench import beside
from scripts.load_bench.beside import ANSWERS_TO_SETTLE, Called, Frozen, in_slices, one_by_one, take_turns
from tests.fleet.load.conftest import recording
from tests.fleet.load.fake_server import fake_server

READS = "import os, time\nwhile True: os.write(1, b'.'); time.sleep(0.001)"
READS_NO_MORE = "import os, time\nos.write(1, b'.' * 100); time.sleep(60)"


@dataclass
class Lane:
    name: str
    told: list[str] = field(default_factory=list)

    def thaw(self) -> None:
        self.told.append(f"{self.name} on")

    def freeze(self) -> None:
        self.told.append(f"{self.name} off")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_one_at_a_time_is_thawed_and_another_is_first_each_time() -> None:
    clock, told = Clock(), []
    lanes = [Lane("a", told), Lane("b", told)]
    taken = take_turns(lanes, count=2, slice_s=1.0, clock=clock, sleep=clock.sleep)

    assert told == ["a on", "a off", "b on", "b off", "b on", "b off", "a on", "a off"]
    step = 1 + UNDER_WAY_S
    assert taken[0] == [Slice(began_s=0, ended_s=1), Slice(began_s=3 * step, ended_s=3 * step + 1)]
    assert [len(each) for each in taken] == [2, 2]


def test_whoever_is_thawed_when_it_ends_early_is_frozen() -> None:
    lane = Lane("a")

    def ends(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_turns([lane], count=2, slice_s=1.0, sleep=ends)
    assert lane.told == ["a on", "a off"]


def measured(tmp_path: Path, program: str | None, **server: object) -> Sliced:
    with fake_server() as ours, fake_server() as other:
        for name, value in server.items():
            setattr(other, name, value)
        return in_slices(
            [
                Called(side=Side(name="ours", url=ours.url), callers=2),
                Called(side=Side(name="serial", url=other.url), callers=1),
            ],
            [sys.executable, "-c", program] if program else None,
            (recording(windows=3),),
            slices=2,
            slice_s=0.05,
            logs=tmp_path,
        )


def test_all_are_counted_by_the_second(tmp_path: Path) -> None:
    result = measured(tmp_path, READS)

    assert (result.recording_s, result.slices, result.slice_s) == (15, 2, 0.05)
    assert {(it.side, it.callers) for it in result.lanes} == {("ours", 2), ("serial", 1), (ROOFLINE, 0)}
    assert all(it.windows_per_s > 0 for it in result.lanes)
    assert (result.windows_per_s(ROOFLINE, 0) or 0) <= 1000


def test_slices_begin_when_each_caller_had_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who begin together are not yet in the middle of their work."""
    had: list[int] = []
    with fake_server() as ours:

        def turns(lanes: Sequence[Frozen], *, count: int, slice_s: float) -> list[list[Slice]]:
            had.append(len(ours.bodies))
            return take_turns(lanes, count=count, slice_s=slice_s)

        monkeypatch.setattr(beside, "take_turns", turns)
        called = [Called(side=Side(name="ours", url=ours.url), callers=5)]
        in_slices(called, None, (recording(),), slices=1, slice_s=0.05, logs=tmp_path)

    assert had[0] >= 5 * ANSWERS_TO_SETTLE


def test_callers_who_get_no_answers_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "ANSWERS_TO_SETTLE", 10**9)
    monkeypatch.setattr(beside, "SETTLES_WITHIN_S", 0.0)

    with pytest.raises(CannotMeasure, match="ours did not answer 2000000000 requests within 0 s"):
        measured(tmp_path, None)


def test_answer_that_is_no_transcript_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="answered 200 with what is no transcript"):
        measured(tmp_path, None, body=b"<html>")


def test_without_the_roofline_servers_are_measured_alone(tmp_path: Path) -> None:
    assert [it.side for it in measured(tmp_path, None).lanes] == ["ours", "serial"]


def test_a_roofline_that_reads_nothing_more_is_no_measure(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="the roofline with preprocessing did nothing"):
        measured(tmp_path, READS_NO_MORE)


def test_a_roofline_that_ends_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="roofline-slices ended with status 3"):
        measured(tmp_path, "raise SystemExit(3)")


def test_a_server_that_fails_is_no_measure(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="serial in slices: 500 broken"):
        measured(tmp_path, READS, status=500, body=b"broken")


def test_a_lone_caller_asks_servers_in_turns() -> None:
    with fake_server() as ours, fake_server() as other:
        sides = [Side(name="ours", url=ours.url), Side(name="serial", url=other.url)]
        told = one_by_one(sides, (recording(),), requests=3)

    assert (told.recording_s, told.requests, set(told.p50_ms)) == (15, 3, {"ours", "serial"})
    assert all(milliseconds > 0 for milliseconds in told.p50_ms.values())


def test_a_lone_caller_who_is_refused_measures_nothing() -> None:
    with fake_server() as ours:
        ours.status, ours.body = 503, b"full"
        with pytest.raises(CannotMeasure, match="ours, asked alone: 503 full"):
            one_by_one([Side(name="ours", url=ours.url)], (recording(),), requests=1)
