"""What the baselines share: their options, the model behind `transcribe`, the form of the answer, Flask under gunicorn.

None of this is tuned with what the container knows about allocators and threads: a baseline runs as its users run it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypedDict

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime, which would report to its maker
os.environ["HF_HUB_OFFLINE"] = "1"  # the model is a folder

import ctranslate2  # noqa: E402 - the lines above must come first
from faster_whisper import WhisperModel  # noqa: E402
from faster_whisper.transcribe import Segment, TranscriptionInfo  # noqa: E402
from flask import Flask, Response, request  # noqa: E402
from gunicorn.app.base import BaseApplication  # noqa: E402

from transcriber.engines import cuda  # noqa: E402

GRACE_S = 5
"""Seconds that a stopped server lets its requests go on: whoever measures has had his answers by then."""


class Part(TypedDict):
    """One segment, in seconds."""

    start: float
    end: float
    text: str


class Answer(TypedDict):
    """What `/invocations` says."""

    text: str
    detected_language: str
    duration: float
    segments: list[Part]


Transcribe = Callable[[str], Answer]
"""Turns the file at a path into text; called by many threads at once."""


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that every baseline takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a Whisper in CTranslate2's format")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: cuda if there is")
    parser.add_argument("--compute-type", help="default: float16 on cuda, on a cpu as the model was saved")
    return parser


def server_parser_of(description: str | None) -> argparse.ArgumentParser:
    """Make a parser with the options that every server takes."""
    parser = parser_of(description)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--threads", type=int, default=0, help="cpu_threads; default: 0, as the library chooses")
    return parser


def device_of(arguments: argparse.Namespace) -> Literal["cpu", "cuda"]:
    """Settle what `auto` means on this machine. CUDA does not survive a fork: call it where the model will run."""
    if arguments.device == "auto":
        return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
    chosen: Literal["cpu", "cuda"] = arguments.device
    return chosen


def compute_type_of(arguments: argparse.Namespace) -> str:
    """Settle the compute type: float16 on cuda as the first description has it, else the model's own."""
    chosen: str | None = arguments.compute_type
    return chosen or ("float16" if device_of(arguments) == "cuda" else "default")


def load(arguments: argparse.Namespace) -> WhisperModel:
    """Load the model as faster-whisper's readme does."""
    device = device_of(arguments)
    if device == "cuda":
        cuda.prepare((0,))  # finds cuBLAS where pip put it, for which the readme sets LD_LIBRARY_PATH
    return WhisperModel(
        str(arguments.model),
        device=device,
        compute_type=compute_type_of(arguments),
        cpu_threads=arguments.threads,
    )


def answer_of(segments: Iterable[Segment], info: TranscriptionInfo) -> Answer:
    """Say what was heard. faster-whisper does its work while the segments are asked for, so call this in the lock."""
    heard = list(segments)
    return {
        "text": "".join(segment.text for segment in heard).strip(),
        "detected_language": info.language,
        "duration": info.duration,
        "segments": [{"start": it.start, "end": it.end, "text": it.text.strip()} for it in heard],
    }


def create(load_model: Callable[[], Transcribe]) -> Flask:
    """Build the app of the first description: a background thread loads the model, a body goes through a file."""
    app = Flask("baseline")
    loaded: list[Transcribe] = []

    def work() -> None:
        try:
            loaded.append(load_model())
        except BaseException:
            os.kill(os.getppid(), signal.SIGTERM)  # nobody should wait for a server that will never be ready
            raise

    @app.get("/ping")
    def ping() -> tuple[str, int]:
        return ("OK", 200) if loaded else ("LOADING", 503)

    @app.post("/invocations")
    def invocations() -> Response | tuple[str, int]:
        if not loaded:
            return "model_not_ready", 503
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(request.get_data())
            file.flush()
            heard = loaded[0](file.name)
        return Response(json.dumps(heard), mimetype="application/json")

    threading.Thread(target=work, name="model-loader", daemon=True).start()
    return app


class Gunicorn(BaseApplication):
    """gunicorn without a command line, one worker because the model exists once."""

    def __init__(self, create_app: Callable[[], Flask], *, port: int, threads: int) -> None:
        """Store what gunicorn will ask for; `run` serves until SIGTERM."""
        self._create_app = create_app
        self._settings: dict[str, Any] = {
            "bind": f"127.0.0.1:{port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": threads,
            "timeout": 0,
            "graceful_timeout": GRACE_S,
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        """Hand the settings over."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - gunicorn's own type
        """Build the app, in the worker."""
        return self._create_app()
