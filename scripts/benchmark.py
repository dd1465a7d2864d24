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

import argparse
import datetime as dt
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fleet.load.batches import batch_ms_of  # noqa: E402 - the line above makes it importable
from fleet.load.plan import Arrivals, Recording  # noqa: E402
from fleet.load.record import (  # noqa: E402
    BATCHED,
    LITSERVE,
    OURS,
    SERIAL,
    Aims,
    Material,
    Peak,
    Record,
    Roofline,
    from_json,
    roofline_from_json,
    to_json,
)
from fleet.load.report import report_of  # noqa: E402
from fleet.load.sides import Side, free_port, output_of, started  # noqa: E402
from fleet.load.slices import ROOFLINE, Lone, Sliced  # noqa: E402
from fleet.load.turns import Loads, Turns  # noqa: E402
from fleet.numbers import positive, wholes  # noqa: E402
from scripts.load_bench.beside import Called, in_slices, one_by_one  # noqa: E402
from scripts.load_bench.machine import machine, versions  # noqa: E402
from scripts.load_bench.material import Cutter  # noqa: E402
from scripts.load_bench.page import Shelf  # noqa: E402
from scripts.load_bench.upload import upload_growth  # noqa: E402
from scripts.load_bench.warming import warm_up  # noqa: E402
from transcriber.engines.weights import DEMO_FOLDER  # noqa: E402

BASELINES = ROOT / "scripts" / "baselines"
PROGRAMS = {SERIAL: "serial_server.py", LITSERVE: "litserve_server.py", BATCHED: "batched_server.py"}
SIDES = (OURS, *PROGRAMS, ROOFLINE)
GIVEN = "the server"
"""How a server is called that was running already."""

LOGS = ROOT / "build" / "benchmark" / "logs"

SHORT_S = 5
CROWD = 64
"""Requests that the container lets in at once (MAX_REQUESTS_IN_FLIGHT)."""

CROWDED = frozenset({OURS, GIVEN})
"""The baselines are spared the crowd: with four threads they would answer no ping for a minute, and prove nothing."""

SWEEP_S = 1.0
"""For each of the roofline's some twenty ways of using the device, once. The best are measured in turns with the
servers, and as long as they: the best of several short runs would be the luckiest."""

ROOFLINE_WITHIN_S = 1800.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the command line asks for."""

    title: str
    command: str
    model: Path
    url: str | None
    sides: tuple[str, ...]
    callers: tuple[int, ...]
    recordings_s: tuple[int, ...]
    seconds: float
    rounds: int
    rate_per_s: float | None
    arrivals: Arrivals
    upload_mib: int
    slices: int
    aims: Aims


def main(argv: Sequence[str] | None = None) -> None:
    """Measure or read a record, print the report, write it with its plots."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse(argv)
    SHELF.main(arguments, lambda: measure(choice_of(arguments, argv)))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--url", help="measure only the server at this address, which runs already")
    add("--sides", type=names, default=SIDES, help=f"which are measured (default: {','.join(SIDES)})")
    add("--model", type=Path, default=DEMO_FOLDER, help="folder of the model (default: models/demo)")
    add("--callers", type=wholes, help="of the closed loop (default: 1,5,10,20)")
    add("--recordings", type=wholes, help="their lengths, in seconds (default: 15,30,60)")
    add("--seconds", type=positive, help="that each load runs on each server in each round (default: 6)")
    add("--rounds", type=int, choices=range(1, 11), metavar="N", help="how often everything is measured (default: 2)")
    add(
        "--slices",
        type=int,
        choices=range(1, 1001),
        metavar="N",
        help="of a second for each that takes turns, and requests of a lone caller, in each round (default: 20)",
    )
    add("--rate", type=positive, help="requests/s of the open loop (default: 0.6 of the best closed loop)")
    add("--arrivals", choices=("poisson", "even"), default="poisson", help="of the open loop (default: poisson)")
    add("--quick", action="store_true", help="a little of everything in about a minute; the figures mean nothing")
    add(
        "--want-times", type=positive, default=3.0, metavar="N", help="aim: times the requests/s of serial (default: 3)"
    )
    add("--want-share", type=positive, default=0.95, metavar="N", help="aim: part of the roofline (default: 0.95)")
    add("--title", help="of the record, and its folder's name (default: the name of the model's folder)")
    add("--out", type=Path, help="folder for the record's own folder (default: build/benchmark)")
    add("--write", action="store_true", help="write into docs/benchmarks and renew docs/benchmarks.md")
    add("--report", type=Path, metavar="RECORD.json", help="measure nothing; tables and plots of this record")
    return parser.parse_args(argv)


def choice_of(arguments: argparse.Namespace, argv: Sequence[str]) -> Choice:
    """Fill in what the command line leaves open."""
    quick = arguments.quick
    return Choice(
        title=arguments.title or arguments.model.resolve().name,
        command=shlex.join(["python", "scripts/benchmark.py", *argv]).replace(f"{ROOT}/", ""),
        model=arguments.model.resolve(),
        url=arguments.url,
        sides=arguments.sides,
        callers=arguments.callers or ((1, 5) if quick else (1, 5, 10, 20)),
        recordings_s=arguments.recordings or ((15,) if quick else (15, 30, 60)),
        seconds=arguments.seconds or (1.5 if quick else 6.0),
        rounds=arguments.rounds or (1 if quick else 2),
        rate_per_s=arguments.rate,
        arrivals=arguments.arrivals,
        upload_mib=30 if quick else 300,
        slices=arguments.slices or (2 if quick else 20),
        aims=Aims(times_serial=arguments.want_times, share_of_roofline=arguments.want_share),
    )


def measure(choice: Choice) -> Record:
    """Start the servers, run everything in turns and stop them, round after round."""
    cutter = Cutter()
    material = {length_s: cutter.cuts(length_s) for length_s in sorted({SHORT_S, *choice.recordings_s})}
    names = (GIVEN,) if choice.url else tuple(name for name in choice.sides if name != ROOFLINE)
    words: dict[str, int] = {}
    rooflines: list[Roofline] = []
    sliced: list[Sliced] = []
    lone: list[Lone] = []
    upload = None
    n_loads = choice.rounds * loads_of_a_round(choice, names) + is_with_roofline(choice)
    with tqdm(unit="load", total=n_loads) as progress:

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
                if is_with_roofline(choice) and sweep is None:
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
        sides=names,
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


def is_with_roofline(choice: Choice) -> bool:
    """Tell whether the device is measured without a server, too."""
    return ROOFLINE in choice.sides and not choice.url


def is_in_slices(choice: Choice) -> bool:
    """Tell whether there is something that our side can share slices with."""
    others = {ROOFLINE, SERIAL} & set(choice.sides) or fewer_callers(choice)
    return OURS in choice.sides and not choice.url and bool(others)


def is_alone(choice: Choice) -> bool:
    """Tell whether one caller shall ask our side and one request at a time in turns."""
    return {OURS, SERIAL} <= set(choice.sides) and not choice.url and 1 in choice.callers


def fewer_callers(choice: Choice) -> list[int]:
    """Return with how many callers our side may be busier than with the most; one never fills it."""
    return sorted({*choice.callers} - {1, max(choice.callers)})


def loads_of_a_round(choice: Choice, names: Sequence[str]) -> int:
    """Count what a round measures."""
    beside = is_with_roofline(choice) + is_in_slices(choice) + is_alone(choice)
    of_a_length = len(choice.callers) * len(names) + beside
    return of_a_length * len(choice.recordings_s) + len(("open", "mix")) * len(names) + len(CROWDED & set(names))


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
    if not is_in_slices(choice):
        return
    most = max(choice.callers)
    with ExitStack() as stack:
        called = [Called(side=side, callers=most) for side in sides if side.name in (OURS, SERIAL)]
        for callers in fewer_callers(choice):
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
                    command = files.enter_context(roofline_command(choice, material[length_s], among=[best]))
                    command += ["--tell", "--encode", best.encode]
                yield in_slices(called, command, material[length_s], slices=choice.slices, slice_s=SLICE_S, logs=LOGS)


def lone_of(
    choice: Choice,
    sides: Sequence[Side],
    material: Mapping[int, tuple[Recording, ...]],
    *,
    tell: Callable[[str], None],
) -> Iterator[Lone]:
    """Ask our side and one request at a time in turns, by one caller, recordings of each length."""
    if not is_alone(choice):
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


def starting(choice: Choice) -> Iterator[AbstractContextManager[Side]]:
    """Yield the servers, each as a context that starts and stops it."""
    if choice.url:
        yield nullcontext(Side(name=GIVEN, url=choice.url))
        return
    for name in choice.sides:
        if name == OURS:
            yield starting_ours(choice)
        elif name in PROGRAMS:
            port = free_port()
            program = str(BASELINES / PROGRAMS[name])
            command = [sys.executable, program, "--model", str(choice.model), "--port", str(port)]
            yield started(name, command, port=port, logs=LOGS)


@contextmanager
def starting_ours(choice: Choice, *, log: str = OURS) -> Iterator[Side]:
    """Start a server of ours and stop it afterwards; another one beside it wants a log of its own."""
    port = free_port()
    environment = {"PORT": str(port), "MODEL_ID": str(choice.model)}
    command = [sys.executable, str(ROOT / "serve")]
    with started(log, command, port=port, logs=LOGS, environment=environment) as side:
        yield replace(side, name=OURS)


def roofline(
    choice: Choice, length_s: int, recordings: Sequence[Recording], *, seconds: float, among: Roofline | None = None
) -> Roofline:
    """Measure what the device does without a server, over the same recordings.

    Args:
        choice: The command line's.
        length_s: Of the recordings.
        recordings: What the callers send.
        seconds: For each way of using the device that is tried.
        among: Try only the workers and batches that were best here; None tries all.
    """
    best = (among.device, among.with_preprocessing) if among else ()
    with roofline_command(choice, recordings, among=best) as command:
        written = output_of(ROOFLINE, [*command, "--seconds", str(seconds)], logs=LOGS, within_s=ROOFLINE_WITHIN_S)
    return roofline_from_json(written, recording_s=length_s)


@contextmanager
def roofline_command(choice: Choice, recordings: Sequence[Recording], *, among: Sequence[Peak]) -> Iterator[list[str]]:
    """Lend what starts the roofline over these recordings, with the workers and batches of `among`, or with all."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, recording in enumerate(recordings):
            path = Path(folder) / f"{number}.wav"
            path.write_bytes(recording.body)
            paths.append(str(path))
        command = [sys.executable, str(BASELINES / "roofline.py"), "--model", str(choice.model), "--recordings", *paths]
        if among:
            command += ["--workers", *sorted({str(peak.workers) for peak in among})]
            command += ["--batches", *sorted({str(peak.batch) for peak in among})]
        yield command


def names(text: str) -> tuple[str, ...]:
    """Read names of sides with commas between them.

    Raises:
        ArgumentTypeError: One is unknown, or there is no server among them.
    """
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not set(chosen) <= set(SIDES):
        raise argparse.ArgumentTypeError(f"{text!r}: the sides are {','.join(SIDES)}")
    if not set(chosen) - {ROOFLINE}:
        raise argparse.ArgumentTypeError(f"{text!r}: beside the roofline there must be a server")
    return chosen


def stop(_number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that nothing that was started is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    main()
