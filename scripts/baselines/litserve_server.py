"""LitServe with its batching, as its users write it for Whisper.

Requests queue until the batch is full or a time has passed; `predict` gets them all and gives as many answers back; one
recording that fails does not fail its batch. What `predict` does with them is chosen by `--predict`:

each      loops over the batch with `WhisperModel.transcribe`. This is what published servers that join LitServe's
          batching and Whisper do; what they gain is processes (`--workers`), not batches. The default on a CPU, where
          it takes less time of the processor than the other.
together  lets the batch reach the model as faster-whisper's maintainer advises (SYSTRAN/faster-whisper#1302): the
          recordings are laid end to end, and BatchedInferencePipeline takes the windows of all of them as clips. Its
          batch has one language, so that recordings of different languages go one after the other. The default on
          CUDA, which full batches suit.

On a CPU there is a process for each core, with one thread: `workers_per_device` is LitServe's answer to several cores
(Lightning-AI/LitServe#453), and threads of several processes must not outnumber them. `fast_queue` is that of
TrueFoundry's example with faster-whisper.
"""

# No `from __future__ import annotations`: FastAPI must see the annotation of `decode_request` and not its name.

import argparse
import io
import multiprocessing
import os
import signal
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from types import FrameType
from typing import Annotated, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime, which would report to its maker

import litserve
import numpy as np
from fastapi import Body
from fastapi.responses import JSONResponse, Response
from faster_whisper import BatchedInferencePipeline
from faster_whisper.audio import decode_audio
from faster_whisper.transcribe import Segment, restore_speech_timestamps
from faster_whisper.vad import VadOptions, collect_chunks, get_speech_timestamps

from scripts.baselines.baseline import Answer, answer_of, device_of, load, server_parser_of

RATE_HZ = 16_000
WINDOW_S = 30
PAUSE_MS = 160
"""The shortest pause at which BatchedInferencePipeline cuts."""

BATCH_RECORDINGS = 8
BATCH_WAIT_S = 0.05
"""LitServe's own examples wait from 10 to 100 ms."""


class Refusal(TypedDict):
    """What a caller gets for a recording that cannot be read."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """The speech of one recording, cut into windows.

    Attributes:
        spans: What speech detection found, in samples of the recording.
        windows: The samples of the spans, joined to at most 30 s each.
        duration_s: Of the recording.
    """

    spans: list[dict[str, int]]
    windows: list[np.ndarray]
    duration_s: float


class WhisperAPI(litserve.LitAPI):
    """A Whisper behind LitServe's queue."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Store what the processes that LitServe starts will need."""
        super().__init__(max_batch_size=arguments.batch, batch_timeout=arguments.batch_timeout, api_path="/invocations")
        self._arguments = arguments

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe names the device that it was given
        """Load the model, in each process once."""
        self._whisper = load(self._arguments)
        self._pipeline = BatchedInferencePipeline(self._whisper)

    def decode_request(self, request: Annotated[bytes, Body(media_type="audio/wav")]) -> io.BytesIO:
        """Take the body as it is."""
        return io.BytesIO(request)

    def predict(self, x: io.BytesIO | Sequence[io.BytesIO]) -> Answer | Refusal | list[Answer | Refusal]:
        """Transcribe a batch; without batching LitServe gives one recording."""
        if isinstance(x, io.BytesIO):
            return self._each(x)
        return self._together(x) if self._arguments.predict == "together" else [self._each(file) for file in x]

    def encode_response(self, output: Answer | Refusal) -> Response:
        """Turn an answer into JSON."""
        return JSONResponse(output, status_code=400 if "error" in output else 200)

    def _each(self, file: io.BytesIO) -> Answer | Refusal:
        try:
            return answer_of(*self._whisper.transcribe(file, language=None, beam_size=5, vad_filter=True))
        except Exception as error:  # noqa: BLE001 - whatever it is, the rest of the batch must not meet it
            return {"error": str(error)}

    def _together(self, files: Sequence[io.BytesIO]) -> list[Answer | Refusal]:
        outcomes: list[Answer | Refusal | None] = [None] * len(files)
        groups: dict[str, list[tuple[int, Speech]]] = defaultdict(list)
        for number, file in enumerate(files):
            try:
                speech = speech_of(decode_audio(file))
                first = speech.windows[0] if speech.windows else np.zeros(RATE_HZ, np.float32)
                groups[self._whisper.detect_language(first)[0]].append((number, speech))
            except Exception as error:  # noqa: BLE001 - as above
                outcomes[number] = {"error": str(error)}
        for language, group in groups.items():
            for (number, speech), segments in zip(group, self._read([it for _, it in group], language), strict=True):
                outcomes[number] = {
                    "text": "".join(segment.text for segment in segments).strip(),
                    "detected_language": language,
                    "duration": speech.duration_s,
                    "segments": [{"start": it.start, "end": it.end, "text": it.text.strip()} for it in segments],
                }
        return [outcome for outcome in outcomes if outcome is not None]

    def _read(self, group: Sequence[Speech], language: str) -> Iterator[list[Segment]]:
        """Read the windows of several recordings in one call and yield the segments of each."""
        windows = [window for speech in group for window in speech.windows]
        if not windows:
            yield from ([] for _ in group)
            return
        edges = [0, *accumulate(map(len, windows))]
        segments, _ = self._pipeline.transcribe(
            np.concatenate(windows),
            # Half a sample more, for the pipeline cuts seconds off to samples.
            clip_timestamps=[
                {"start": (start + 0.5) / RATE_HZ, "end": (stop + 0.5) / RATE_HZ} for start, stop in pairwise(edges)
            ],
            language=language,
            beam_size=5,
            batch_size=self._arguments.batch,
        )
        starts = [0, *accumulate(sum(map(len, speech.windows)) for speech in group)]
        heard: list[list[Segment]] = [[] for _ in group]
        for segment in segments:
            # A recording without speech starts where the next one does: the last of equal starts is the owner.
            owner = bisect_right(starts[:-1], round(segment.start * RATE_HZ) + RATE_HZ // 1000) - 1
            segment.start -= starts[owner] / RATE_HZ
            segment.end -= starts[owner] / RATE_HZ
            heard[owner].append(segment)
        for speech, its in zip(group, heard, strict=True):
            yield list(restore_speech_timestamps(its, speech.spans, RATE_HZ))


def speech_of(samples: np.ndarray) -> Speech:
    """Find speech and cut it into windows, both as BatchedInferencePipeline does for one recording."""
    options = VadOptions(max_speech_duration_s=WINDOW_S, min_silence_duration_ms=PAUSE_MS)
    spans = get_speech_timestamps(samples, options)
    windows, _ = collect_chunks(samples, spans, max_duration=WINDOW_S)
    return Speech(spans=spans, windows=[window for window in windows if len(window)], duration_s=len(samples) / RATE_HZ)


def main() -> None:
    """Serve until SIGTERM."""
    parser = server_parser_of(__doc__)
    parser.add_argument("--predict", choices=("each", "together"), help="default: each on a cpu, together on cuda")
    parser.add_argument("--workers", type=int, help="processes, a model in each (default: one per core, on cuda one)")
    parser.add_argument("--batch", type=int, default=BATCH_RECORDINGS, help=f"default: {BATCH_RECORDINGS}")
    parser.add_argument("--batch-timeout", type=float, default=BATCH_WAIT_S, help=f"seconds; default: {BATCH_WAIT_S}")
    arguments = settled(parser.parse_args())
    signal.signal(signal.SIGTERM, Stop())
    try:
        litserve.LitServer(
            WhisperAPI(arguments),
            accelerator=arguments.device,
            devices=1,
            workers_per_device=arguments.workers,
            timeout=False,  # a long recording may wait
            healthcheck_path="/ping",
            fast_queue=True,
        ).run(host="127.0.0.1", port=arguments.port, generate_client_file=False, log_level="warning")
    finally:
        # LitServe stops what it started, but not what was still loading.
        for process in multiprocessing.active_children():
            process.kill()


def settled(arguments: argparse.Namespace) -> argparse.Namespace:
    """Fill in what suits the machine and was not said."""
    arguments.device = device_of(arguments)
    is_cpu = arguments.device == "cpu"
    cores = len(os.sched_getaffinity(0))
    arguments.predict = arguments.predict or ("each" if is_cpu else "together")
    arguments.workers = arguments.workers or (cores if is_cpu else 1)
    if is_cpu:
        arguments.threads = arguments.threads or max(1, cores // arguments.workers)
    return arguments


class Stop:
    """End on SIGTERM as on Ctrl-C: LitServe knows no SIGTERM, and would leave its processes behind."""

    def __init__(self) -> None:
        """Note whose signal it is: processes that are forked inherit the handler."""
        self._pid = os.getpid()

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Raise what LitServe, or the forked process, takes for the end."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.getpid() == self._pid:
            raise KeyboardInterrupt
        raise SystemExit


if __name__ == "__main__":
    main()
