"""The measurement of the largest input, on a small one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from scripts.measure_big_input import RATE_HZ, resident_mib, write_recording
from tests.conftest import DEMO_MODEL, ROOT


@pytest.mark.parametrize(("size_bytes", "sentences"), [(44 + 32_000 * 60, 6), (44 + 32_000 * 65, 6), (100_000, 0)])
def test_recording_has_the_size_that_was_asked_for_and_its_sentences(
    tmp_path: Path, size_bytes: int, sentences: int
) -> None:
    file = tmp_path / "recording.wav"

    assert write_recording(file, size_bytes=size_bytes, every_s=10.0) == sentences
    assert file.stat().st_size == size_bytes
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnframes()) == (RATE_HZ, (size_bytes - 44) // 2)


def test_memory_is_that_of_a_process_and_its_children() -> None:
    children = [subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)]
    for child in children:
        assert child.stdout is not None
        child.stdout.readline()
    together = resident_mib(os.getpid())
    alone = together - sum(resident_mib(child.pid) for child in children)
    for child in children:
        child.communicate(b"\n")

    assert 0 < alone < together


def test_figures_of_a_small_recording(tmp_path: Path) -> None:
    saved = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "scripts" / "measure_big_input.py"), "--bytes", "4000000", "--every", "30"]
    environ = {**os.environ, "MODEL_ID": str(DEMO_MODEL)}
    ended = subprocess.run(
        [*command, "--save", str(saved)], capture_output=True, text=True, timeout=100, check=False, env=environ
    )
    figures = json.loads(saved.read_text("utf-8"))

    assert ended.returncode == 0, ended.stderr
    assert (figures["body_bytes"], figures["audio_s"], figures["sentences"]) == (4_000_000, 125.0, 4)
    assert figures["segments"] >= 4
    assert figures["ready_mib"] > 50
