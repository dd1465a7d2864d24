from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

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
    before = set(TASKS.iterdir())
    engine = whisper_model.load(
        demo_model, load({"DEVICE": "cpu", "MAX_CONCURRENT": workers, "MAX_THREADS_PER_BATCH": threads})
    )
    engine.warm_up()
    started = set(TASKS.iterdir()) - before
    expected = lowered()

    assert len(started) >= 2 if workers == "2" else started
    assert {niceness_of(task) for task in started} == {expected}
    engine.close()
