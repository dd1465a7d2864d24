"""A steady mixed load with some faults, for minutes or hours, and a look at what the container holds meanwhile.

    python -m tests.chaos.soak --minutes 20 --save build/soak.json --plot build/soak.png

Honest callers send recordings in every way and compare the words; every few seconds something goes wrong that the
worker survives. Memory, open files, threads and temporary files are counted; each must be flat after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.callers import Books, Outcome, Pings, Times, honest_callers, learn, pinging, publish, write
from tests.chaos.container import Container, end_in_order, holdings_in_calm, running
from tests.chaos.faults import MILD, SETTINGS, Scene, flood, wait_ready
from tests.chaos.soak_verdict import Curve, Verdict, judge
from tests.chaos.store import open_store

MEMORY_MAY_GROW = 0.05
"""Share of the memory after the warm-up by which it may grow: the allocator keeps what it has, in pieces of its own."""

CALLERS = 3
PAUSE_S = 0.2
"""Between two calls of a caller."""

FAULT_EVERY_S = 8.0
LOOK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the container held at a moment."""

    at_s: float
    resident_mib: float
    decoders_mib: float
    open_files: int
    threads: int
    unnamed_files: int
    files: int
    decoders: int


@dataclass(slots=True, kw_only=True)
class Soak:
    """What was seen."""

    began: str
    minutes: float
    seed: int
    samples: list[Sample] = field(default_factory=list)
    honest: Books = field(default_factory=Books)
    hostile: Books = field(default_factory=Books)
    faults: Counter[str] = field(default_factory=Counter)
    pings: Pings = field(default_factory=Pings)
    leaked: dict[str, int] = field(default_factory=dict)

    def verdicts(self) -> list[Verdict]:
        """Say of each curve whether it is flat."""
        counts = {
            "resident memory of the worker, MiB": lambda sample: sample.resident_mib,
            "memory of a decoder, MiB": lambda sample: sample.decoders_mib / (sample.decoders + 1),
            "open files": lambda sample: sample.open_files,
            "threads": lambda sample: sample.threads,
            "temporary files": lambda sample: sample.unnamed_files + sample.files,
        }
        verdicts = []
        for name, count in counts.items():
            points = [(sample.at_s, float(count(sample))) for sample in self.samples]
            mean = sum(value for _, value in points) / len(points)
            may_grow = MEMORY_MAY_GROW * mean if name.endswith("MiB") else 1.0
            verdicts.append(judge(Curve(name=name, points=points, may_grow=may_grow)))
        return verdicts


def soak(*, minutes: float, seed: int, fault_every_s: float = FAULT_EVERY_S) -> Soak:
    """Run a container under load for so long."""
    seen = Soak(began=datetime.now(UTC).isoformat(timespec="seconds"), minutes=minutes, seed=seed)
    times = Times()
    chance = random.Random(seed)
    with (
        open_store(seed=seed) as store,
        running(S3_ENDPOINT_URL=store.url, **SETTINGS) as container,
    ):
        scene = Scene(container=container, times=times, chance=chance, honest=seen.honest, hostile=seen.hostile)
        if not wait_ready(scene):
            sys.exit("soak: the container did not become ready\n" + "\n".join(container.log.last))
        seen.honest.words = learn(container.port)
        flood(scene)
        before = holdings_in_calm(container, store.port)
        ending = threading.Event()
        watch = threading.Thread(target=_watch, args=[container, store.port, seen, ending], name="watch", daemon=True)
        watch.start()
        ends_s = time.monotonic() + 60 * minutes
        calling = honest_callers(container.port, n=CALLERS, seed=seed, times=times, books=seen.honest, pause_s=PAUSE_S)
        with calling, pinging(container.port, times) as seen.pings:
            while (left_s := ends_s - time.monotonic()) > 0:
                time.sleep(min(left_s, fault_every_s * chance.uniform(0.5, 1.5)))  # the callers call meanwhile
                if time.monotonic() < ends_s:
                    fault = chance.choice(MILD)
                    seen.faults[fault.__name__] += fault(scene)
        ending.set()
        watch.join()
        flood(scene)
        seen.leaked = holdings_in_calm(container, store.port).beyond(before)
        container.stop()
        seen.leaked["processes"] = len(container.left_processes())
        seen.leaked["temporary files"] += len(list(container.scratch.iterdir()))
        seen.faults["container ended with another status than 0"] = int(container.statuses != [0])
    return seen


def _watch(container: Container, store_port: int, seen: Soak, ending: threading.Event) -> None:
    began_s = time.monotonic()
    while not ending.wait(LOOK_EVERY_S):
        container.remember_processes()
        held = container.holdings(store_port=store_port)
        seen.samples.append(
            Sample(
                at_s=round(time.monotonic() - began_s, 1),
                resident_mib=round(held.resident_mib, 1),
                decoders_mib=round(held.decoders_mib, 1),
                open_files=held.open_files,
                threads=held.threads,
                unnamed_files=held.unnamed_files,
                files=len(held.files),
                decoders=held.decoders,
            )
        )


def figures_of(seen: Soak) -> dict[str, Any]:
    """Return what is written into the record."""
    verdicts = seen.verdicts()
    honest = seen.honest
    return {
        "program": "soak",
        "began": seen.began,
        "minutes": seen.minutes,
        "seed": seen.seed,
        "requests": sum(honest.outcomes.values()) + sum(seen.hostile.outcomes.values()),
        "honest": dict(sorted(honest.outcomes.items())),
        "hostile": dict(sorted(seen.hostile.outcomes.items())),
        "faults": dict(sorted(seen.faults.items())),
        "wrong answers": honest.count(Outcome.WRONG),
        "5xx that were ours": honest.count(Outcome.OURS) + seen.hostile.count(Outcome.OURS),
        "cut without an answer": honest.count(Outcome.CUT) + seen.hostile.count(Outcome.CUT),
        "what went wrong": [*honest.faults, *seen.hostile.faults],
        "pings": {"asked": seen.pings.asked, "lies": len(seen.pings.lies), "above 2 s": seen.pings.late},
        "leaked": seen.leaked,
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "is flat": all(verdict.is_flat for verdict in verdicts),
    }


def is_well(figures: dict[str, Any]) -> bool:
    """Say whether nothing happened that must not happen."""
    return (
        bool(figures["is flat"])
        and not figures["what went wrong"]
        and not any(figures["leaked"].values())
        and not figures["pings"]["lies"]
        and not figures["faults"].get("container ended with another status than 0")
    )


def main() -> None:
    """Soak, print, plot; status 1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the callers (default: %(default)s)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument(
        "--samples", type=Path, metavar="FILE", help="write there what was counted, a line for each look"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves; needs matplotlib")
    arguments = parser.parse_args()
    end_in_order()
    seen = soak(minutes=arguments.minutes, seed=arguments.seed)
    figures = figures_of(seen)
    publish(figures, arguments.save)
    if arguments.samples:
        write(arguments.samples, "\n".join(json.dumps(asdict(sample)) for sample in seen.samples) + "\n")
    if arguments.plot:
        from tests.chaos.soak_plot import draw

        draw(seen, arguments.plot)
    if not is_well(figures):
        sys.exit("soak: something went wrong; the figures above say what")


if __name__ == "__main__":
    main()
