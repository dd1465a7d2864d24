"""The programs that the benchmark measures, each started by it: this container, the baselines, the roofline."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from fleet.load.plan import Recording
from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL, Peak, Roofline, roofline_from_json
from fleet.load.sides import Side, free_port, output_of, started
from fleet.load.slices import ROOFLINE
from scripts.load_bench.choice import GIVEN, ROOT, Choice

BASELINES = ROOT / "scripts" / "baselines"
PROGRAMS = {SERIAL: "serial_server.py", LITSERVE: "litserve_server.py", BATCHED: "batched_server.py"}
LOGS = ROOT / "build" / "benchmark" / "logs"

ROOFLINE_WITHIN_S = 1800.0


def starting(choice: Choice) -> Iterator[AbstractContextManager[Side]]:
    """Yield the servers, each as a context that starts and stops it."""
    if choice.url:
        yield nullcontext(Side(name=GIVEN, url=choice.url))
        return
    for name in choice.servers:
        if name == OURS:
            yield starting_ours(choice)
        else:
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
    with _roofline_command(choice, recordings, among=best) as command:
        written = output_of(ROOFLINE, [*command, "--seconds", str(seconds)], logs=LOGS, within_s=ROOFLINE_WITHIN_S)
    return roofline_from_json(written, recording_s=length_s)


@contextmanager
def endless_roofline(choice: Choice, recordings: Sequence[Recording], *, best: Peak) -> Iterator[list[str]]:
    """Lend what starts the roofline for good, with preprocessing, telling each window that it has read."""
    with _roofline_command(choice, recordings, among=[best]) as command:
        yield [*command, "--tell", "--encode", best.encode]


@contextmanager
def _roofline_command(choice: Choice, recordings: Sequence[Recording], *, among: Sequence[Peak]) -> Iterator[list[str]]:
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
