"""The first description's design: one request at a time, behind a semaphore.

Flask under gunicorn, one worker, four threads, a semaphore of one around `WhisperModel.transcribe`; beam 5, speech
detection on, the language detected, the threads that faster-whisper chooses. Each body goes through a temporary file.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.baselines.baseline import (
    Answer,
    Gunicorn,
    Transcribe,
    answer_of,
    create,
    load,
    server_parser_of,
)

HTTP_THREADS = 4
MAX_CONCURRENT = 1


def main() -> None:
    """Serve until SIGTERM."""
    arguments = server_parser_of(__doc__).parse_args()
    Gunicorn(lambda: create(lambda: one_at_a_time(arguments)), port=arguments.port, threads=HTTP_THREADS).run()


def one_at_a_time(arguments: argparse.Namespace) -> Transcribe:
    """Load the model and put the semaphore before it."""
    whisper = load(arguments)
    turn = threading.Semaphore(MAX_CONCURRENT)

    def transcribe(path: str) -> Answer:
        with turn:
            return answer_of(*whisper.transcribe(path, language=None, beam_size=5, vad_filter=True))

    return transcribe


if __name__ == "__main__":
    main()
