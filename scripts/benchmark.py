"""Measure the container under load, beside the usual ways of serving Whisper, in one run on this machine.

Starts this container and the baselines of scripts/baselines with one model, and lets them take turns under every load,
so that a machine whose speed drifts treats all alike; while one is measured the others are frozen. Each round has
servers of its own, since those of the same code differ, by where their memory happens to lie. The loads: 1, 5, 10
and 20 callers with recordings of 15, 30 and 60 s; a fixed rate of arrivals; short requests beside a ten-minute
recording; /ping with as many requests in flight as are let in; the memory that a large upload takes.

    python scripts/benchmark.py                                 everything; into build/benchmark
    python scripts/benchmark.py --quick --sides ours            a minute, to try it
    python scripts/benchmark.py --url http://127.0.0.1:8080     a server that runs already, alone
    python scripts/benchmark.py --write                         everything; into docs/benchmarks and docs/benchmarks.md
    python scripts/benchmark.py --report RECORD.json            tables and plots anew, without measuring
"""

from __future__ import annotations

import datetime as dt
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # makes what is imported below importable

from fleet.load.batches import batch_ms_of
from fleet.load.plan import Recording
from fleet.load.record import OURS, SERIAL, Material, Record, Roofline, from_json, to_json
from fleet.load.report import report_of
from fleet.load.sides import Side
from fleet.load.slices import Lone, Sliced
from fleet.load.turns import Loads, Turns
from scripts.load_bench.beside import Called, in_slices, one_by_one
from scripts.load_bench.choice import CROWDED, Choice, choice_of, parse
from scripts.load_bench.machine import machine, versions
from scripts.load_bench.material import Cutter
from scripts.load_bench.page import Shelf
from scripts.load_bench.programs import LOGS, endless_roofline, roofline, starting, starting_ours
from scripts.load_bench.upload import upload_growth
from scripts.load_bench.warming import warm_up

SHORT_S = 5
CROWD = 64
"""Requests that the container lets in at once (MAX_REQUESTS_IN_FLIGHT)."""

SWEEP_S = 1.0
"""For each of the roofline's some twenty ways of using the device, once. The best are measured in turns with the
servers, and as long as they: the best of several short runs would be the luckiest."""

SLICE_S = 1.0
"""Short beside the drift of a shared machine's speed, long beside what a program needs to have its caches again."""

LIBRARIES = ("ctranslate2", "faster-whisper", "litserve", "numpy", "onnxruntime", "av")

SHELF = Shelf(
    program="benchmark",
    part="load",
    file="record.json",
    read=from_json,
    written=to_json,
    shown=lambda record, pictures: report_of(record, pictures=pictures),
    plotted=lambda record: record,
)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure or read a record, print the report, write it with its plots."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse(argv, description=__doc__)
    SHELF.main(arguments, lambda: measure(choice_of(arguments, argv)))


def measure(choice: Choice) -> Record:
    """Start the servers, run everything in turns and stop them, round after round."""
    cutter = Cutter()
    material = {length_s: cutter.cuts(length_s) for length_s in sorted({SHORT_S, *choice.recordings_s})}
    words: dict[str, int] = {}
    rooflines: list[Roofline] = []
    sliced: list[Sliced] = []
    lone: list[Lone] = []
    upload = None
    with tqdm(unit="load", total=choice.loads) as progress:

        def tell(what: str) -> None:
            progress.update(bool(progress.desc))  # what was told before is done
            progress.set_description(what)

        turns = Turns(
            loads=Loads(
                callers=choice.callers,
                recordings={length_s: material[length_s] for length_s in choice.recordings_s},
                seconds=choice.seconds,
            ),
            sides=(),
            tell=tell,
        )
        sweep = None
        for number in range(choice.rounds):
            with ExitStack() as stack:
                turns.sides = [stack.enter_context(side) for side in starting(choice)]
                words = {side.name: warm_up(side, material) for side in turns.sides}
                for side in turns.sides:
                    side.freeze()
                if choice.has_roofline and sweep is None:
                    sweep = best_of_the_device(choice, material, tell=tell)
                rooflines += run_round(choice, turns, material, number=number, sweep=sweep, long=cutter.long())
                sliced += slices_of(choice, turns.sides, material, sweep=sweep, tell=tell)
                lone += lone_of(choice, turns.sides, material, tell=tell)
                ours = next((side for side in turns.sides if side.name == OURS), None)
                if ours and number == choice.rounds - 1:
                    upload = upload_growth(ours, choice.upload_mib)
        progress.update()
    return Record(
        title=choice.title,
        date=dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        command=choice.command,
        machine=machine(),
        model=choice.model.name,
        versions=dict(versions(LIBRARIES)),
        seconds=choice.seconds,
        rounds=choice.rounds,
        aims=choice.aims,
        sides=choice.servers,
        words=words,
        idle_cpu=turns.idle_cpu(),
        recordings=tuple(
            Material(recording_s=length_s, cuts=len(cuts), windows=sum(one.windows for one in cuts))
            for length_s, cuts in material.items()
        ),
        measured=tuple(turns.measured()),
        rooflines=tuple(rooflines),
        batch_ms=batch_ms_of(turns.mix_log),
        upload=upload,
        sliced=tuple(sliced),
        lone=tuple(lone),
    )


def run_round(
    choice: Choice,
    turns: Turns,
    material: Mapping[int, tuple[Recording, ...]],
    *,
    number: int,
    sweep: Roofline | None,
    long: Recording,
) -> list[Roofline]:
    """Run every load once, and return the rooflines measured beside them; `sweep` says how to use the device."""
    rooflines = []

    def measure_roofline(length_s: int) -> None:
        turns.tell(f"roofline, {length_s} s")
        rooflines.append(roofline(choice, length_s, material[length_s], seconds=choice.seconds, among=sweep))

    for length_s in choice.recordings_s:
        turns.closed(length_s, beside=partial(measure_roofline, length_s) if sweep else None)
    turns.open(rate_per_s=choice.rate_per_s, arrivals=choice.arrivals, seed=number)
    turns.mix(material[SHORT_S], long=long)
    turns.crowd(CROWD, sides=[side for side in turns.sides if side.name in CROWDED])
    return rooflines


def slices_of(
    choice: Choice,
    sides: Sequence[Side],
    material: Mapping[int, tuple[Recording, ...]],
    *,
    sweep: Roofline | None,
    tell: Callable[[str], None],
) -> Iterator[Sliced]:
    """Measure our side with the most callers beside what aims compare it with, recordings of each length.

    That is the roofline, one request at a time with as many callers, and our side with fewer, by a server of its own.
    """
    if not choice.has_slices:
        return
    most = max(choice.callers)
    with ExitStack() as stack:
        called = [Called(side=side, callers=most) for side in sides if side.name in (OURS, SERIAL)]
        for callers in choice.fewer_callers:
            side = stack.enter_context(starting_ours(choice, log=f"{OURS}-{callers}"))
            warm_up(side, material)
            side.freeze()
            called.append(Called(side=side, callers=callers))
        for length_s in choice.recordings_s:
            tell(f"in slices, {length_s} s")
            with ExitStack() as files:
                command = None
                if sweep:
                    best = sweep.with_preprocessing
                    command = files.enter_context(endless_roofline(choice, material[length_s], best=best))
                yield in_slices(called, command, material[length_s], slices=choice.slices, slice_s=SLICE_S, logs=LOGS)


def lone_of(
    choice: Choice,
    sides: Sequence[Side],
    material: Mapping[int, tuple[Recording, ...]],
    *,
    tell: Callable[[str], None],
) -> Iterator[Lone]:
    """Ask our side and one request at a time in turns, by one caller, recordings of each length."""
    if not choice.has_lone_caller:
        return
    for length_s in choice.recordings_s:
        tell(f"one caller in turns, {length_s} s")
        asked = [side for side in sides if side.name in (OURS, SERIAL)]
        yield one_by_one(asked, material[length_s], requests=choice.slices)


def best_of_the_device(
    choice: Choice, material: Mapping[int, tuple[Recording, ...]], *, tell: Callable[[str], None]
) -> Roofline:
    """Try all workers and batches with the shortest recordings."""
    tell("roofline: which workers and batches are best")
    shortest = min(choice.recordings_s)
    return roofline(choice, shortest, material[shortest], seconds=min(SWEEP_S, choice.seconds / 4))


def stop(_number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that nothing that was started is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    main()
