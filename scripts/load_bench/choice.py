"""What the benchmark's command line asks for, and what follows from it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.load.plan import Arrivals
from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL, Aims
from fleet.load.slices import ROOFLINE
from fleet.numbers import positive, wholes
from transcriber.engines.weights import DEMO_FOLDER

ROOT = Path(__file__).resolve().parents[2]

SIDES = (OURS, SERIAL, LITSERVE, BATCHED, ROOFLINE)
GIVEN = "the server"
"""How a server is called that was running already."""

CROWDED = frozenset({OURS, GIVEN})
"""The baselines are spared the crowd: with four threads they would answer no ping for a minute, and prove nothing."""


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

    @property
    def servers(self) -> tuple[str, ...]:
        """Names of what is asked over HTTP."""
        return (GIVEN,) if self.url else tuple(name for name in self.sides if name != ROOFLINE)

    @property
    def has_roofline(self) -> bool:
        """Whether the device is measured without a server, too."""
        return ROOFLINE in self.sides and not self.url

    @property
    def has_slices(self) -> bool:
        """Whether there is something that our side can share slices with."""
        others = {ROOFLINE, SERIAL} & set(self.sides) or self.fewer_callers
        return OURS in self.sides and not self.url and bool(others)

    @property
    def has_lone_caller(self) -> bool:
        """Whether one caller shall ask our side and one request at a time in turns."""
        return {OURS, SERIAL} <= set(self.sides) and not self.url and 1 in self.callers

    @property
    def fewer_callers(self) -> list[int]:
        """With how many callers our side may be busier than with the most; one never fills it."""
        return sorted({*self.callers} - {1, max(self.callers)})

    @property
    def loads(self) -> int:
        """How many things are measured, of each of which somebody who waits is told."""
        servers = self.servers
        beside = self.has_roofline + self.has_slices + self.has_lone_caller
        of_a_length = len(self.callers) * len(servers) + beside
        once = len(("open", "mix")) * len(servers) + len(CROWDED & set(servers))
        return self.rounds * (of_a_length * len(self.recordings_s) + once) + self.has_roofline  # and its sweep


def parse(argv: Sequence[str], *, description: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--url", help="measure only the server at this address, which runs already")
    add("--sides", type=sides, default=SIDES, help=f"which are measured (default: {','.join(SIDES)})")
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


def sides(text: str) -> tuple[str, ...]:
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
