"""A server under load and the roofline, in slices of a second: which part of it the server comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from fleet.load.driver import run
from fleet.load.errors import CannotMeasure
from fleet.load.plan import Closed, Plan, Recording
from fleet.load.sides import Side, running
from fleet.load.slices import UNDER_WAY_S, Slice, Sliced, seconds_of, windows_answered

SETTLE_S = 2.0
"""How long the callers have the machine to themselves before the first slice: some answers, and a queue."""

READS_WITHIN_S = 120.0
"""How long the roofline may take to load and to read its first windows."""

FIRST_WINDOWS = 8
LOOK_AGAIN_S = 0.1


class Frozen(Protocol):
    """Whatever can be stopped where it stands, and go on."""

    def thaw(self) -> None:
        """Let it go on."""

    def freeze(self) -> None:
        """Stop it."""


def beside_the_roofline(
    server: Side,
    roofline: Sequence[str],
    recordings: tuple[Recording, ...],
    *,
    callers: int,
    slices: int,
    slice_s: float,
    logs: Path,
) -> Sliced:
    """Measure both, each in the middle of its work in its own slices and frozen in the other's.

    Args:
        server: Frozen, as it will be afterwards.
        roofline: What starts the roofline, which writes a byte for each window that it has read.
        recordings: What callers send and the roofline reads, all of one length.
        callers: How many.
        slices: For each of them.
        slice_s: How long each is.
        logs: Folder for what the roofline writes.

    Raises:
        CannotMeasure: One of the two did no work, or the server failed on a request.
    """
    load = Closed(callers=callers, seconds=SETTLE_S + 2 * slices * slice_s)
    with running("roofline-slices", roofline, logs=logs) as other, ThreadPoolExecutor(1) as pool:
        _wait_for_windows(other)
        other.freeze()
        server.thaw()
        calling = pool.submit(run, Plan(load=load, recordings=recordings), server.url)
        try:
            time.sleep(SETTLE_S)
            server.freeze()
            read = other.log_size()
            ours, theirs = take_turns([server, other], count=slices, slice_s=slice_s)
            read = other.log_size() - read
        finally:
            server.thaw()  # or its callers would wait for ever
        ran = calling.result()
        other.check()
        server.freeze()
    failed = [it.complaint for it in ran.samples if it.complaint]
    answered = windows_answered(ran.samples, ours)
    if failed or not answered or not read:
        raise CannotMeasure(
            f"{server.name} beside the roofline: {failed[0] if failed else 'one of the two did nothing'}"
        )
    return Sliced(
        recording_s=round(recordings[0].duration_s),
        callers=callers,
        slices=slices,
        slice_s=slice_s,
        server_per_s=answered / seconds_of(ours),
        roofline_per_s=read / seconds_of(theirs),
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
        for i in ((number + place) % len(lanes) for place in range(len(lanes))):
            began_s = clock()
            lanes[i].thaw()
            try:
                sleep(slice_s)
            finally:
                lanes[i].freeze()
            taken[i].append(Slice(began_s=began_s, ended_s=clock()))
            sleep(UNDER_WAY_S)
    return taken


def _wait_for_windows(roofline: Side) -> None:
    ends_s = time.monotonic() + READS_WITHIN_S
    while roofline.log_size() < FIRST_WINDOWS:
        roofline.check()
        if time.monotonic() > ends_s:
            raise CannotMeasure(f"the roofline read nothing within {READS_WITHIN_S:.0f} s")
        time.sleep(LOOK_AGAIN_S)
