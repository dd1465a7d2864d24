"""Measure the container against a plain call of faster-whisper, on this machine, in one run.

Four questions, with the demo model on the CPU: do twenty requests of 20 s that come at once finish sooner than one at
a time through a lock around `WhisperModel.transcribe`; is a lone request slower than that plain call; how soon does
/ping answer meanwhile; how much memory does a 300 MB upload take. The sides take turns, so that a machine whose speed
drifts treats all alike; ratios are of medians.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.demo import free_port, wait_until_ready  # noqa: E402 - the line above makes it importable
from transcriber.audio.decode import decode  # noqa: E402
from transcriber.engines.weights import DEMO_FOLDER  # noqa: E402

CALLERS = 20
CLIP_S = 20
ROUNDS = 5
LONE_ROUNDS = 15
UPLOAD_MIB = 300
RECORD = ROOT / "docs" / "benchmarks" / "container.json"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- container: begin -->", "<!-- container: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One question's answer, in seconds: medians, and what they were made of."""

    ours_s: float
    plain_s: float
    tuned_s: float
    ours: list[float]
    plain: list[float]
    tuned: list[float]


def main() -> None:
    """Measure, print, and write the record and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEMO_FOLDER, help="folder of the model (default: models/demo)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of {CALLERS} callers (default: {ROUNDS})")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and its record")
    arguments = parser.parse_args()
    clips = list(cut_clips())
    with (
        plain_calls(arguments.model, threads=0) as plain,
        plain_calls(arguments.model, threads=1) as tuned,
        server(arguments.model) as (url, pid),
    ):
        sides = {"ours": lambda many: ours(url, many), "plain": plain, "tuned": tuned}
        together = compare(sides, [clips[i % len(clips)] for i in range(CALLERS)], arguments.rounds, "20 at once")
        lone = compare(sides, clips[:1], LONE_ROUNDS, "one alone")
        pings = pings_under_load(url, clips)
        grown_mib, decoded_mib = upload_growth(url, pid)
    record = {
        "machine": machine(),
        "versions": {name: version(name) for name in ("ctranslate2", "faster-whisper", "numpy", "av")},
        "command": "make bench",
        "clip_s": CLIP_S,
        "callers": CALLERS,
        "together": asdict(together),
        "lone": asdict(lone),
        "pings": asdict(pings),
        "upload": {"upload_mib": UPLOAD_MIB, "decoded_mib": decoded_mib, "grown_mib": grown_mib},
    }
    page = table(together, lone, pings, grown_mib=grown_mib, decoded_mib=decoded_mib)
    print(page)
    if arguments.write:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
        written = PAGE.read_text("utf-8")
        head, _, rest = written.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{page}{END}{rest.partition(END)[2]}", "utf-8")


Side = Callable[[Sequence[bytes]], float]
"""Transcribes all clips, as many callers at once as there are clips, and returns the seconds from first to last."""


def compare(sides: dict[str, Side], clips: Sequence[bytes], rounds: int, title: str) -> Comparison:
    """Let the sides take turns, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in tqdm(range(rounds + 1), desc=title):
        for name, side in sides.items():
            took_s = side(clips)
            if turn:
                seconds[name].append(round(took_s, 4))
    medians = {f"{name}_s": round(statistics.median(taken), 4) for name, taken in seconds.items()}
    return Comparison(**medians, **seconds)


def ours(url: str, clips: Sequence[bytes]) -> float:
    """Send all clips to the server at once."""

    def call(clip: bytes) -> None:
        request = urllib.request.Request(f"{url}/invocations", data=clip, headers={"Content-Type": "audio/wav"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            if not json.loads(answer.read())["text"]:
                sys.exit("benchmark: the server heard nothing")

    return timed(call, clips)


def timed(call: Callable[[bytes], None], clips: Sequence[bytes]) -> float:
    """Run one thread for each clip and return the seconds until the last is done."""
    threads = [threading.Thread(target=call, args=(clip,)) for clip in clips]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started_s


@contextmanager
def plain_calls(model: Path, *, threads: int) -> Iterator[Side]:
    """Keep faster-whisper behind a lock in a process of its own."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_plain, args=(str(model), threads, theirs))
    process.start()

    def side(clips: Sequence[bytes]) -> float:
        mine.send(list(clips))
        took_s: float = mine.recv()
        return took_s

    try:
        yield side
    finally:
        mine.send(None)
        process.join(timeout=30)


def serve_plain(model: str, threads: int, pipe: Connection) -> None:
    """Answer each list of clips with the seconds it took, one clip at a time through a lock."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - only this process needs it

    whisper = WhisperModel(model, device="cpu", cpu_threads=threads)
    lock = threading.Lock()

    def call(clip: bytes) -> None:
        with lock:
            segments, _info = whisper.transcribe(io.BytesIO(clip), vad_filter=True, condition_on_previous_text=False)
            if not list(segments):
                sys.exit("benchmark: faster-whisper heard nothing")

    while (clips := pipe.recv()) is not None:
        pipe.send(timed(call, clips))


@contextmanager
def server(model: Path) -> Iterator[tuple[str, int]]:
    """Run `serve` and yield its address and its worker's process id."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log_file = ROOT / "build" / "benchmark.log"
    log_file.parent.mkdir(exist_ok=True)
    environment = {**os.environ, "PORT": str(port), "MODEL_ID": str(model.resolve())}
    with log_file.open("wb") as log:
        process = subprocess.Popen([sys.executable, str(ROOT / "serve")], env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(url, process, log_file)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("ascii").split()
        yield url, int(children[0])
    finally:
        process.terminate()
        process.wait(timeout=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pings:
    """How soon /ping answered, in milliseconds."""

    count: int
    median_ms: float
    p99_ms: float
    slowest_ms: float


def pings_under_load(url: str, clips: Sequence[bytes]) -> Pings:
    """Ask /ping every 10 ms for as long as five rounds of twenty callers take."""
    crowd = [clips[i % len(clips)] for i in range(CALLERS)]
    load = threading.Thread(target=lambda: [ours(url, crowd) for _ in range(ROUNDS)])
    load.start()
    took_ms: list[float] = []
    while load.is_alive():
        started_s = time.perf_counter()
        with urllib.request.urlopen(f"{url}/ping", timeout=10):
            took_ms.append((time.perf_counter() - started_s) * 1000)
        time.sleep(0.01)
    load.join()
    return Pings(
        count=len(took_ms),
        median_ms=round(statistics.median(took_ms), 2),
        p99_ms=round(statistics.quantiles(took_ms, n=100)[98], 2),
        slowest_ms=round(max(took_ms), 2),
    )


def upload_growth(url: str, pid: int) -> tuple[float, float]:
    """Send a WAV of 300 MB in blocks; return how much the worker's peak memory grew, and its samples' size, in MiB."""
    frames = UPLOAD_MIB * 1024 * 1024 // 2
    header = io.BytesIO()
    with wave.open(header, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(b"")
    head = bytearray(header.getvalue())
    head[4:8] = (36 + frames * 2).to_bytes(4, "little")
    head[40:44] = (frames * 2).to_bytes(4, "little")
    block = bytes(1024 * 1024)

    def body() -> Iterator[bytes]:
        yield bytes(head)
        for _ in tqdm(range(UPLOAD_MIB), desc="300 MB upload"):
            yield block

    Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")  # sets the peak back to what is resident now
    before = memory_mib(pid, "VmRSS")
    request = urllib.request.Request(f"{url}/invocations", data=body(), headers={"Content-Type": "audio/wav"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        answer.read()
    return round(memory_mib(pid, "VmHWM") - before, 1), round(frames * 2 / 1024 / 1024, 1)


def memory_mib(pid: int, name: str) -> float:
    """Read one line of the process's status."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


def cut_clips() -> Iterator[bytes]:
    """Cut the two-minute recording of tests/data into clips of 20 s."""
    manifest = (ROOT / "tests" / "data" / "manifest.jsonl").read_text("utf-8").splitlines()
    longest = max((json.loads(line) for line in manifest), key=lambda line: float(line["duration"]))
    with (ROOT / "tests" / "data" / longest["path"]).open("rb") as file:
        pcm = decode(file, limit_s=600).pcm
    step = CLIP_S * 16000
    for start in range(0, len(pcm) - step + 1, step):
        clip = io.BytesIO()
        write_wav(clip, pcm[start : start + step])
        yield clip.getvalue()


def write_wav(file: IO[bytes], pcm: np.ndarray) -> None:
    """Write samples as a WAV file."""
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(pcm.astype("<i2").tobytes())


def machine() -> str:
    """Name the processor and the number of cores."""
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return f"{line.split(':')[1].strip()}, {os.cpu_count()} cores, {platform.system()}"
    return platform.platform()


def table(together: Comparison, lone: Comparison, pings: Pings, *, grown_mib: float, decoded_mib: float) -> str:
    """Write the figures as Markdown."""
    head = (
        f"{CLIP_S} s clips, demo model, {machine()}",
        "this container",
        "lock around `WhisperModel.transcribe`, as it is",
        "the same with 1 thread",
        "ratio to the better of the two",
    )
    rows = [head, ("---",) * len(head)]
    for name, figures, digits in (
        (f"{CALLERS} at once: seconds until the last answer", together, 2),
        ("one alone: seconds", lone, 3),
    ):
        ratio = min(figures.plain_s, figures.tuned_s) / figures.ours_s
        cells = [f"{seconds:.{digits}f}" for seconds in (figures.ours_s, figures.plain_s, figures.tuned_s)]
        rows.append((name, *cells, f"{ratio:.2f} times as fast"))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    upload = (
        f"A WAV upload of {UPLOAD_MIB} MiB ({decoded_mib:.0f} MiB of samples): resident memory grew by "
        f"{grown_mib:.0f} MiB at its peak, {max(0.0, grown_mib - decoded_mib):.0f} MiB above the samples."
    )
    ping = (
        f"`/ping` while {CALLERS} callers wait ({pings.count} pings): median {pings.median_ms:.0f} ms, 99 of 100 "
        f"within {pings.p99_ms:.0f} ms, the slowest {pings.slowest_ms:.0f} ms. SageMaker allows 2,000 ms."
    )
    return "\n".join(["", *lines, "", ping, "", upload, ""])


if __name__ == "__main__":
    main()
