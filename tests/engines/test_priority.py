from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transcriber.engines import whisper_model
from transcriber.engines.priority import BACKGROUND_STEPS, lower_priority
from transcriber.settings import load

TASKS = Path("/proc/self/task")


def niceness_of(task: Path) -> int:
    # proc(5): the name in brackets may hold spaces; nice is the 19th field.
    return int((task / "stat").read_text().rpartition(")")[2].split()[16])


def lowered() -> int:
    return min(19, os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + BACKGROUND_STEPS)


def test_a_thread_gives_way_and_its_starter_does_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    seen: list[int] = []

    def work() -> None:
        lower_priority()
        seen.append(niceness_of(TASKS / str(threading.get_native_id())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [lowered()]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.parametrize(("workers", "threads"), [("2", "1"), ("1", "2")])
def test_every_thread_of_ctranslate2_gives_way(demo_model: Path, workers: str, threads: str) -> None:
    """In a process of its own, since other tests may leave threads that end or start meanwhile."""
    told = subprocess.run(
        [sys.executable, __file__, str(demo_model), workers, threads],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    ).stdout

    started = [int(niceness) for niceness in told.split()]
    assert len(started) >= 2 if workers == "2" else started
    assert set(started) == {lowered()}


def tell_niceness_of_started_threads(model: Path, workers: str, threads: str) -> None:
    before = set(TASKS.iterdir())
    engine = whisper_model.load(
        model, load({"DEVICE": "cpu", "MAX_CONCURRENT": workers, "MAX_THREADS_PER_BATCH": threads})
    )
    engine.warm_up()
    sys.stdout.write(" ".join(str(niceness_of(task)) for task in set(TASKS.iterdir()) - before))
    engine.close()


if __name__ == "__main__":
    tell_niceness_of_started_threads(Path(sys.argv[1]), *sys.argv[2:])
