"""Programs side by side, in turns so short that the machine treats all alike."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fleet.load.driver import complaint_of, run
from fleet.load.errors import CannotMeasure
from fleet.load.http_line import HttpLine
from fleet.load.plan import Closed, Plan, Recording
from fleet.load.record import label_of
from fleet.load.runs import Run
from fleet.load.sides import Side, running
from fleet.load.slices import ROOFLINE, UNDER_WAY_S, Lane, Lone, Slice, Sliced, seconds_of, windows_answered
from fleet.load.turns import in_turn

ANSWERS_TO_SETTLE = 2
"""Answers of each caller before the first slice. Callers who begin together have their first windows read before the
second ones of anybody: two seconds after, 10 windows of recordings of 60 s were read and not yet answered, where it is
2 later on, and the difference was counted as work of the slices."""

SETTLES_WITHIN_S = 300.0
"""How long they may take to come."""

READS_WITHIN_S = 120.0
"""How long the roofline may take to load and to read its first windows."""

NO_END_S = 24 * 3600.0
"""Callers go on until they are told to stop."""

FIRST_WINDOWS = 8
LOOK_AGAIN_S = 0.1


class Frozen(Protocol):
    """Whatever can be stopped where it stands, and go on."""

    def thaw(self) -> None:
        """Let it go on."""

    def freeze(self) -> None:
        """Stop it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A server, and how many callers it shall have."""

    side: Side
    callers: int


def in_slices(
    called: Sequence[Called],
    roofline: Sequence[str] | None,
    recordings: tuple[Recording, ...],
    *,
    slices: int,
    slice_s: float,
    logs: Path,
) -> Sliced:
    """Measure programs, each in the middle of its work in its own slices and frozen in the others'.

    Args:
        called: Servers, frozen, as they will be afterwards; no server twice.
        roofline: What starts the roofline, which writes a byte for each window that it has read; None leaves it out.
        recordings: What callers send and the roofline reads, all of one length.
        slices: For each of them.
        slice_s: How long each is.
        logs: Folder for what the roofline writes.

    Raises:
        CannotMeasure: One of them did no work, or a server failed on a request.
    """
    lanes: list[Lane] = []
    with ExitStack() as stack:
        reading = stack.enter_context(_reading(roofline, logs)) if roofline else None
        read = reading.log_size() if reading else 0
        programs = [*(it.side for it in called), *([reading] if reading else [])]
        with _callers(called, recordings) as runs:
            taken = take_turns(programs, count=slices, slice_s=slice_s)
        if reading:
            reading.check()
            windows = reading.log_size() - read
            lanes.append(Lane(side=ROOFLINE, callers=0, windows_per_s=windows / seconds_of(taken[-1])))
    for it, calling, turns in zip(called, runs, taken, strict=False):
        ran = calling.result()
        failed = next((sample.complaint for sample in ran.samples if sample.complaint), "")
        if failed:
            raise CannotMeasure(f"{it.side.name} in slices: {failed}")
        windows = windows_answered(ran.samples, turns)
        lanes.append(Lane(side=it.side.name, callers=it.callers, windows_per_s=windows / seconds_of(turns)))
    idle = next((lane for lane in lanes if not lane.windows_per_s), None)
    if idle:
        raise CannotMeasure(f"{label_of(idle.side)} did nothing in its slices; give it more of them")
    return Sliced(recording_s=round(recordings[0].duration_s), slices=slices, slice_s=slice_s, lanes=tuple(lanes))


def one_by_one(sides: Sequence[Side], recordings: tuple[Recording, ...], *, requests: int) -> Lone:
    """Ask servers in turn, one request at a time, another one first each time.

    Args:
        sides: Frozen, as they will be afterwards.
        recordings: What is sent, in rotation, all of one length.
        requests: To each of them.

    Raises:
        CannotMeasure: One of them failed on a request.
    """
    latencies_ms: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(requests):
        for side in in_turn(sides, number):
            latencies_ms[side.name].append(_ask(side, recordings[number % len(recordings)]))
    return Lone(
        recording_s=round(recordings[0].duration_s),
        requests=requests,
        p50_ms={name: statistics.median(each) for name, each in latencies_ms.items()},
    )


def take_turns(
    lanes: Sequence[Frozen],
    *,
    count: int,
    slice_s: float,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> list[list[Slice]]:
    """Give each of some frozen programs so many slices, another one first each time.

    Returns:
        The slices of each, in the order of `lanes`; all are frozen again.
    """
    taken: list[list[Slice]] = [[] for _ in lanes]
    for number in range(count):
        for i in in_turn(range(len(lanes)), number):
            began_s = clock()
            lanes[i].thaw()
            try:
                sleep(slice_s)
            finally:
                lanes[i].freeze()
            taken[i].append(Slice(began_s=began_s, ended_s=clock()))
            sleep(UNDER_WAY_S)
    return taken


@contextmanager
def _callers(called: Sequence[Called], recordings: tuple[Recording, ...]) -> Iterator[list[Future[Run]]]:
    """Put each server under its callers and freeze it; afterwards let all answer what they have begun, and freeze."""
    is_over = threading.Event()
    with ThreadPoolExecutor(len(called)) as pool:
        runs = []
        try:
            for it in called:
                plan = Plan(load=Closed(callers=it.callers, seconds=NO_END_S), recordings=recordings)
                answers = threading.Semaphore(0)
                it.side.thaw()
                runs.append(pool.submit(run, plan, it.side.url, until=is_over, answered=answers.release))
                _wait_for(answers, ANSWERS_TO_SETTLE * it.callers, of=it.side, calling=runs[-1])
                it.side.freeze()
            yield runs
        finally:
            is_over.set()
            for it in called:
                it.side.thaw()  # or its callers would wait for ever
    for it in called:
        it.side.check()
        it.side.freeze()


def _wait_for(answers: threading.Semaphore, count: int, *, of: Side, calling: Future[Run]) -> None:
    """Let a server answer so many requests; whoever calls it tells each by `answers`."""
    ends_s = time.monotonic() + SETTLES_WITHIN_S
    came = 0
    while came < count:
        came += answers.acquire(timeout=LOOK_AGAIN_S)
        of.check()
        if calling.done():
            calling.result()
        if time.monotonic() > ends_s:
            raise CannotMeasure(f"{of.name} did not answer {count} requests within {SETTLES_WITHIN_S:g} s")


@contextmanager
def _reading(roofline: Sequence[str], logs: Path) -> Iterator[Side]:
    """Start the roofline, and freeze it when it is in the middle of its work."""
    with running("roofline-slices", roofline, logs=logs) as reading:
        ends_s = time.monotonic() + READS_WITHIN_S
        while reading.log_size() < FIRST_WINDOWS:
            reading.check()
            if time.monotonic() > ends_s:
                raise CannotMeasure(f"the roofline read nothing within {READS_WITHIN_S:.0f} s")
            time.sleep(LOOK_AGAIN_S)
        reading.freeze()
        yield reading


def _ask(side: Side, recording: Recording) -> float:
    """Thaw a server for one request; return how long it took, in ms."""
    side.thaw()
    line = HttpLine(side.url)
    try:
        began_s = time.perf_counter()
        reply = line.ask("POST", "/invocations", recording.body)
        took_s = time.perf_counter() - began_s
    finally:
        line.close()
        side.freeze()
    complaint = complaint_of(reply)
    if complaint:
        side.check()
        raise CannotMeasure(f"{side.name}, asked alone: {complaint}")
    return 1000 * took_s
