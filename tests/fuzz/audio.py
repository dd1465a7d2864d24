"""Damaged recordings, by the thousand: through the decoders, and a part of them through a real `./serve`.

    python -m tests.fuzz.audio --files 3000 --served 600 --save build/fuzz-audio.json

Each file must come to samples, or to a transcript, or to one of the failures that are meant for it; the next one must
be decoded as if nothing had been, and nothing may be left: no process, thread, descriptor or file. Files are numbered:
`mutated(N)` is the same file everywhere, and every finding tells its number.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.callers import (
    ANSWER_WITHIN_S,
    WITHOUT_STORE,
    Books,
    Outcome,
    Times,
    code_of,
    honest_callers,
    learn,
    publish,
)
from tests.chaos.container import end_in_order, holdings_in_calm, running
from tests.chaos.faults import Scene, flood, wait_ready
from tests.chaos.processes import descendants_of
from tests.fuzz.mutations import mutated
from tests.patience import comes_about
from transcriber.audio.decoders import Decoders
from transcriber.errors import NotAudio, TooLarge

THREADS = 4
LIMIT_S = 600.0
STALL_S = 60.0
"""Patience for a machine that does other things: these files take milliseconds of a core."""
SLOW_S = 60.0
"""A file that takes longer is a finding."""

LIMITS = {"MAX_AUDIO_SECONDS": "60", "DECODE_STALL_SECONDS": "10"}
"""Of the container: damaged headers make hours of noise out of seconds, and reading them finds nothing."""

MEANT = {(415, "not_audio"), (413, "too_large"), (400, "malformed_request"), (503, "busy")}
"""What a damaged file may be answered; 400 because one without its beginning may look like JSON."""

NOTING = threading.Lock()


@dataclass(slots=True, kw_only=True)
class Fuzzed:
    """What became of the files.

    Attributes:
        broken_decoders: Files that ended their decoder, which is what decoders are there for.
        findings: What must not be.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    broken_decoders: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    leaked: dict[str, int] = field(default_factory=dict)
    slowest_s: float = 0.0
    slowest: str = ""

    def note(self, outcome: str, story: str, took_s: float, *, finding: bool = False) -> None:
        with NOTING:
            self.outcomes[outcome] += 1
            if took_s > self.slowest_s:
                self.slowest_s, self.slowest = took_s, story
            if finding:
                self.findings.append(f"{outcome} after {took_s:.1f} s: {story}")


def decode_files(numbers: range, *, threads: int = THREADS) -> Fuzzed:
    """Decode the files of these numbers as the server does."""
    fuzzed = Fuzzed()
    others = set(descendants_of(os.getpid()))
    decoders = Decoders(stall_s=STALL_S)
    decoders.start()
    before = (threading.active_count(), _open_files())
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda number: _decode(decoders, number, fuzzed), numbers):
            pass
    processes = set(descendants_of(os.getpid())) - others
    fds = _open_files() - before[1]
    idle = len(decoders._idle)
    decoders.close()
    comes_about(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), within_s=10)
    fuzzed.leaked = {
        "descriptors": max(0, fds - idle),
        "threads": max(0, threading.active_count() - before[0]),
        "processes": sum(Path(f"/proc/{pid}").exists() for pid in processes),
    }
    return fuzzed


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _decode(decoders: Decoders, number: int, fuzzed: Fuzzed) -> None:
    file = mutated(number)
    began_s = time.monotonic()
    finding = False
    try:
        with decoders.open(io.BytesIO(file.content), limit_s=LIMIT_S) as sound:
            samples = sum(len(block) for block in sound.blocks)
        outcome, finding = ("samples", False) if samples else ("nothing at all", True)
    except (NotAudio, TooLarge) as refusal:
        outcome = refusal.slug
        if "its decoder" in refusal.message or "memory" in refusal.message:
            with NOTING:
                fuzzed.broken_decoders.append(f"{refusal.message}: {file.story}")
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome, finding = f"{type(error).__name__}: {error}"[:200], True
    took_s = time.monotonic() - began_s
    fuzzed.note(outcome, file.story, took_s, finding=finding or took_s > SLOW_S)


def serve_files(numbers: range, *, seed: int, threads: int = THREADS) -> tuple[Fuzzed, Books]:
    """Send the files of these numbers to a container, beside honest callers."""
    fuzzed, honest, times = Fuzzed(), Books(), Times()
    with running(**LIMITS) as container:
        scene = Scene(container=container, times=times, chance=random.Random(seed), honest=honest, hostile=Books())
        if not wait_ready(scene):
            sys.exit("fuzz: the container did not become ready\n" + "\n".join(container.log.last))
        honest.words = learn(container.port)
        flood(scene)
        before = holdings_in_calm(container)
        with (
            honest_callers(container.port, n=1, seed=seed, times=times, books=honest, ways=WITHOUT_STORE),
            ThreadPoolExecutor(threads) as pool,
        ):
            for _ in pool.map(lambda number: _send(container.port, number, fuzzed), numbers):
                pass
        fuzzed.leaked = holdings_in_calm(container).beyond(before)
        container.stop()
        fuzzed.leaked["processes"] = len(container.left_processes())
        fuzzed.leaked["temporary files"] += len(list(container.scratch.iterdir()))
        fuzzed.findings += [f"log: {line}" for line in container.log.strange]
        fuzzed.findings += [f"the container ended with {status}" for status in container.statuses if status]
    return fuzzed, honest


def _send(port: int, number: int, fuzzed: Fuzzed) -> None:
    file = mutated(number)
    began_s = time.monotonic()
    finding = False
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)) as caller:
            caller.request("POST", "/invocations", file.content)
            answer = caller.getresponse()
            body = answer.read()
        outcome = f"{answer.status} {code_of(body)}".rstrip()
        finding = answer.status != 200 and (answer.status, code_of(body)) not in MEANT
    except (OSError, http.client.HTTPException) as error:
        outcome, finding = repr(error)[:200], True
    took_s = time.monotonic() - began_s
    fuzzed.note(outcome, file.story, took_s, finding=finding)


def figures_of(*, files: int, served: int, first: int) -> dict[str, Any]:
    """Decode and send, and return what is written into the record."""
    began = datetime.now(UTC).isoformat(timespec="seconds")
    decoded = decode_files(range(first, first + files))
    sent, honest = serve_files(range(first, first + served), seed=first)
    return {
        "program": "damaged audio",
        "began": began,
        "first number": first,
        "decoded": {"files": files, **_figures(decoded)},
        "served": {"files": served, **_figures(sent)},
        "honest": dict(sorted(honest.outcomes.items())),
        "honest callers not answered right": honest.faults,
        "wrong answers": honest.count(Outcome.WRONG),
        "5xx that were ours": honest.count(Outcome.OURS)
        + sum(count for outcome, count in sent.outcomes.items() if outcome.startswith("5") and outcome != "503 busy"),
    }


def _figures(fuzzed: Fuzzed) -> dict[str, Any]:
    return {
        "outcomes": dict(sorted(fuzzed.outcomes.items())),
        "files that ended their decoder": fuzzed.broken_decoders,
        "findings": fuzzed.findings,
        "leaked": fuzzed.leaked,
        "slowest, s": round(fuzzed.slowest_s, 2),
        "slowest": fuzzed.slowest,
    }


def is_well(figures: dict[str, Any]) -> bool:
    """Say whether nothing happened that must not happen."""
    parts = [figures["decoded"], figures["served"]]
    return not figures["honest callers not answered right"] and not any(
        part["findings"] or any(part["leaked"].values()) for part in parts
    )


def main() -> None:
    """Fuzz, print; status 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3000, help="how many are decoded (default: %(default)s)")
    parser.add_argument("--served", type=int, default=600, help="how many are sent (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file (default: %(default)s)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures there as JSON")
    arguments = parser.parse_args()
    end_in_order()
    figures = figures_of(files=arguments.files, served=arguments.served, first=arguments.first)
    publish(figures, arguments.save)
    if not is_well(figures):
        sys.exit("fuzz: something was found; the figures above say what")


if __name__ == "__main__":
    main()
