"""faster-whisper's BatchedInferencePipeline behind a lock: the windows of one recording are read together.

The pipeline keeps state on itself, so that one call runs at a time. Its defaults are its users': batches of 8, beam 5,
speech detection on, the language detected once, one segment for each window.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime, which would report to its maker

from faster_whisper import BatchedInferencePipeline

from scripts.baselines.baseline import (
    Answer,
    Gunicorn,
    Transcribe,
    answer_of,
    create,
    load,
    server_parser_of,
)

HTTP_THREADS = 64
"""One for each caller of the heaviest load: waiting takes a thread, and nothing else."""

BATCH_WINDOWS = 8


def main() -> None:
    """Serve until SIGTERM."""
    arguments = server_parser_of(__doc__).parse_args()
    Gunicorn(
        lambda: create(lambda: one_recording_at_a_time(arguments)), port=arguments.port, threads=HTTP_THREADS
    ).run()


def one_recording_at_a_time(arguments: argparse.Namespace) -> Transcribe:
    """Load the model and put the lock before its pipeline."""
    pipeline = BatchedInferencePipeline(load(arguments))
    lock = threading.Lock()

    def transcribe(path: str) -> Answer:
        with lock:
            return answer_of(*pipeline.transcribe(path, batch_size=BATCH_WINDOWS, beam_size=5, vad_filter=True))

    return transcribe


if __name__ == "__main__":
    main()
