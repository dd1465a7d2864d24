from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from transcriber.engines import whisper_model
from transcriber.engines.whisper import WhisperEngine
from transcriber.settings import load

if TYPE_CHECKING:
    from transcriber.engines.parakeet import ParakeetEngine
    from transcriber.engines.voxtral import VoxtralEngine

# A deadline measures the machine and its other work, not the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime, which would report to its maker

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
DEMO_MODEL = Path(os.environ.get("DEMO_MODEL", ROOT / "models" / "demo"))


@dataclass(frozen=True, slots=True)
class Recording:
    """One line of tests/data/manifest.jsonl."""

    path: Path
    text: str
    language: str | None
    translation: str | None
    duration: float


def recordings() -> list[Recording]:
    lines = [json.loads(line) for line in (DATA / "manifest.jsonl").read_text("utf-8").splitlines()]
    return [
        Recording(
            path=DATA / line["path"],
            text=line["text"],
            language=line["language"],
            translation=line.get("translation"),
            duration=line["duration"],
        )
        for line in lines
    ]


@pytest.fixture(scope="session")
def demo_model() -> Path:
    return DEMO_MODEL


@pytest.fixture(scope="session")
def engine(demo_model: Path) -> WhisperEngine:
    """The demo model, loaded once for all tests."""
    return whisper_model.load(demo_model, load({"DEVICE": "cpu"}))


@pytest.fixture(scope="session")
def parakeet_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Parakeet of the true interface with random weights, in 32 and in 8 bits."""
    folder = tmp_path_factory.mktemp("models") / "parakeet"
    script = ROOT / "scripts" / "make_parakeet_model.py"
    subprocess.run([sys.executable, script, "tiny", folder, "--int8"], check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture(scope="session")
def parakeet(parakeet_folder: Path) -> ParakeetEngine:
    """That model, loaded once for all tests."""
    from transcriber.engines import parakeet_model

    return parakeet_model.load(parakeet_folder, load({"DEVICE": "cpu", "MAX_BATCH_WINDOWS": "8"}))


@pytest.fixture(scope="session")
def voxtral_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Voxtral of the true interface with random weights."""
    for library in ("torch", "transformers", "mistral_common"):
        pytest.importorskip(
            library, reason=f"{library} is not installed; `make test-voxtral` installs it and runs this"
        )
    from scripts.make_voxtral_model import make

    # PyTorch makes a folder when it is imported, and would make it among what the first test leaves behind.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path_factory.mktemp("inductor"))
    folder = tmp_path_factory.mktemp("models") / "voxtral"
    make(folder)  # in this process: PyTorch takes seconds to import, and the tests import it anyway
    return folder


@pytest.fixture(scope="session")
def voxtral(voxtral_folder: Path) -> VoxtralEngine:
    """That model, loaded once for all tests; one thread, because several wait for each other where cores are scarce."""
    from transcriber.engines import voxtral_model

    settings = load({"DEVICE": "cpu", "MAX_THREADS_PER_BATCH": "1", "MAX_BATCH_WINDOWS": "8"})
    return voxtral_model.load(voxtral_folder, settings)


@pytest.fixture(autouse=True)
def nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail a test that leaves a thread of ours or a temporary file behind."""
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    threads = set(threading.enumerate())
    yield
    new = [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith(("replica", "model"))]
    for thread in new:
        thread.join(timeout=5)
    left = [thread.name for thread in new if thread.is_alive()]
    assert not left, f"threads left behind: {left}"
    assert not list(scratch.iterdir()), "temporary files left behind"
