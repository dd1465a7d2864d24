"""Do bad things to a real `./serve` at random moments, while honest callers must keep getting right answers.

    python -m tests.chaos.chaos --rounds 6 --save build/chaos.json

In each round everything that the worker survives is done once, in another order, and then something that ends it. At
the end: what was asked and answered, what was done, and what was left behind. The same seed does the same things in the
same order; what they meet is up to the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.callers import Books, Outcome, Pings, Times, honest_callers, learn, pinging, publish
from tests.chaos.container import Log, end_in_order, holdings_in_calm, running
from tests.chaos.faults import LETHAL, MILD, SETTINGS, Fault, Scene, flood, wait_ready
from tests.chaos.store import open_store

CALLERS = 4
LONGEST_PAUSE_S = 1.0
"""Between two faults."""


@dataclass(slots=True, kw_only=True)
class Run:
    """What was done, and what came of it."""

    began: str
    seed: int
    rounds: int
    honest: Books = field(default_factory=Books)
    hostile: Books = field(default_factory=Books)
    faults: Counter[str] = field(default_factory=Counter)
    pings: Pings = field(default_factory=Pings)
    leaked: Counter[str] = field(default_factory=Counter)
    statuses: list[int] = field(default_factory=list)
    log: Log = field(default_factory=Log)
    not_ready: int = 0


def rounds_of(seed: int, n: int, *, mild: tuple[Fault, ...] = MILD) -> list[list[Fault]]:
    """Return what is done in each round: everything mild, and in all but the last something lethal, somewhere."""
    chance = random.Random(seed)
    rounds = []
    for number in range(n):
        one = list(mild)
        chance.shuffle(one)
        if number < n - 1:
            one.append(LETHAL[number % len(LETHAL)])
        rounds.append(one)
    return rounds


def run(*, rounds: int, seed: int, callers: int = CALLERS, mild: tuple[Fault, ...] = MILD) -> Run:
    """Let it happen."""
    seen = Run(began=datetime.now(UTC).isoformat(timespec="seconds"), seed=seed, rounds=rounds)
    times = Times()
    chance = random.Random(seed)
    with open_store(seed=seed) as store, running(S3_ENDPOINT_URL=store.url, **SETTINGS) as container:
        seen.log = container.log
        scene = Scene(container=container, times=times, chance=chance, honest=seen.honest, hostile=seen.hostile)
        if not wait_ready(scene):
            sys.exit("chaos: the container did not become ready\n" + "\n".join(container.log.last))
        seen.honest.words = learn(container.port)
        with pinging(container.port, times) as seen.pings:
            for number, faults in enumerate(rounds_of(seed, rounds, mild=mild)):
                is_last = number == rounds - 1
                if is_last:
                    flood(scene)
                    before = holdings_in_calm(container, store.port)
                with honest_callers(container.port, n=callers, seed=seed + number, times=times, books=seen.honest):
                    for fault in faults:
                        time.sleep(chance.uniform(0, LONGEST_PAUSE_S))  # callers go on; faults come at any moment
                        began_s = time.monotonic()
                        seen.faults[fault.__name__] += fault(scene)
                        seen.not_ready += not wait_ready(scene)
                        took_s = time.monotonic() - began_s
                        print(f"round {number + 1}: {fault.__name__}, {took_s:.1f} s", file=sys.stderr, flush=True)
            flood(scene)
            seen.leaked.update(holdings_in_calm(container, store.port).beyond(before))
            times.note_unready()
            times.stops_s.append(time.monotonic())
            container.stop()
        seen.leaked["processes"] += len(container.left_processes())
        seen.leaked["temporary files"] += len(list(container.scratch.iterdir()))
        seen.statuses = container.statuses
    return seen


def common_figures(honest: Books, hostile: Books, faults: Counter[str], pings: Pings) -> dict[str, Any]:
    """Return what all programs of this folder tell."""
    return {
        "requests": sum(honest.outcomes.values()) + sum(hostile.outcomes.values()),
        "honest": dict(sorted(honest.outcomes.items())),
        "honest answers": dict(sorted(honest.statuses.items())),
        "hostile": dict(sorted(hostile.outcomes.items())),
        "faults": dict(sorted(faults.items())),
        "wrong answers": honest.count(Outcome.WRONG) + hostile.count(Outcome.WRONG),
        "5xx that were ours": honest.count(Outcome.OURS) + hostile.count(Outcome.OURS),
        "cut without an answer": honest.count(Outcome.CUT) + hostile.count(Outcome.CUT),
        "what went wrong": [*honest.faults, *hostile.faults],
        "pings": {
            "asked": pings.asked,
            "answered 200": pings.well,
            "lies": pings.lies,
            "above 2 s": pings.late,
            "slowest, s": round(pings.slowest_s, 3),
        },
    }


def figures_of(seen: Run) -> dict[str, Any]:
    """Return what is written into the record."""
    return {
        "program": "chaos",
        "began": seen.began,
        "seed": seen.seed,
        "rounds": seen.rounds,
        **common_figures(seen.honest, seen.hostile, seen.faults, seen.pings),
        "leaked": dict(sorted(seen.leaked.items())),
        "statuses": seen.statuses,
        "not ready again": seen.not_ready,
        "strange lines of the log": list(seen.log.strange),
    }


def troubles_of(figures: dict[str, Any]) -> dict[str, Any]:
    """Return what of the figures must not be there."""
    found = {
        **{name: figures[name] for name in ("what went wrong", "not ready again", "strange lines of the log")},
        "leaked": {what: n for what, n in figures["leaked"].items() if n},
        "lies of /ping": figures["pings"]["lies"],
        "statuses": [status for status in figures["statuses"] if status],
    }
    return {name: trouble for name, trouble in found.items() if trouble}


def main() -> None:
    """Run, print; status 1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="how often everything is done (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is done, and when (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=CALLERS, help="honest callers at once (default: %(default)s)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures there as JSON")
    arguments = parser.parse_args()
    end_in_order()
    figures = figures_of(run(rounds=arguments.rounds, seed=arguments.seed, callers=arguments.callers))
    publish(figures, arguments.save)
    if troubles := troubles_of(figures):
        sys.exit(f"chaos: something went wrong: {troubles}")


if __name__ == "__main__":
    main()
