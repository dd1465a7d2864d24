"""A device without a server: the model, the windows that it is fed, and those who feed it."""

from __future__ import annotations

import argparse
import functools
import io
import itertools
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from scripts.baselines.baseline import compute_type_of, device_of
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ
from transcriber.engines.mel import Mel, MelSpectrogram, cut
from transcriber.vad.spans import spans_of
from transcriber.vad.speech import SpeechDetector
from transcriber.vad.windows import passages_of

FEEDERS_PER_WORKER = 2
"""Threads that bring batches: while the device has one of a worker's, the other is being put together."""

PATIENCE_S = 120
"""How long a batch may take to be made."""

LONGEST_S = 4 * 3600.0
WINDOW_SAMPLES = 30 * RATE_HZ
MODEL_TOKENS = 448
MAX_INITIAL_TIMESTAMP = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the device is used.

    Attributes:
        workers: Batches at the same time (`inter_threads`).
        threads: Threads of each (`intra_threads`); a GPU's worker has one.
        batch: Windows in a batch.
        encode: Whether the encoder gets the batch `together` or each window `singly`; the search always gets the batch.
    """

    workers: int
    threads: int
    batch: int
    encode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How long one thread brought batches, in seconds of the clock, and the windows in them."""

    began_s: float
    ended_s: float
    windows: int


class Device:
    """A model on its device, without anything around it."""

    def __init__(self, arguments: argparse.Namespace, *, workers: int, threads: int) -> None:
        """Load the model."""
        self._model = ctranslate2.models.Whisper(
            str(arguments.model),
            device=device_of(arguments),
            compute_type=compute_type_of(arguments),
            inter_threads=workers,
            intra_threads=threads,
        )
        self._hf_tokenizer = tokenizers.Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
        size = vocabulary_size_of(arguments.model)
        # CTranslate2 does not check them, and the demo model's vocabulary is a part of its tokenizer's.
        self._suppressed = [token for token in get_suppressed_tokens(self._tokenizer("en"), [-1]) if token < size]
        self._prompt = functools.cache(lambda language: list(self._tokenizer(language).sot_sequence))

    def read(self, batch: Sequence[Mel], *, encode: str) -> None:
        """Read a batch of windows as the container reads those of a default request, and forget the text."""
        if encode == "together":
            encoded = self._encode(np.stack(batch))
        else:
            rows = [np.array(self._encode(mel[np.newaxis], to_cpu=True)) for mel in batch]
            encoded = ctranslate2.StorageView.from_array(np.concatenate(rows))
        self._model.generate(
            encoded,
            self._prompts(encoded, len(batch)),
            beam_size=5,
            patience=1,
            length_penalty=1,
            max_length=MODEL_TOKENS,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
            sampling_temperature=1,
        )

    def close(self) -> None:
        """Give the device back."""
        self._model.unload_model()

    def _encode(self, features: np.ndarray, *, to_cpu: bool = False) -> ctranslate2.StorageView:
        return self._model.encode(ctranslate2.StorageView.from_array(features), to_cpu=to_cpu)

    def _prompts(self, encoded: ctranslate2.StorageView, count: int) -> list[list[int]]:
        if not self._model.is_multilingual:
            return [self._prompt("en")] * count
        return [self._prompt(guesses[0][0][2:-2]) for guesses in self._model.detect_language(encoded)]

    def _tokenizer(self, language: str) -> Tokenizer:
        return Tokenizer(self._hf_tokenizer, self._model.is_multilingual, task="transcribe", language=language)


class Preprocessing:
    """The way of a recording's bytes to windows, by the container's own functions; threads share it."""

    def __init__(self, mels: int) -> None:
        """Make what all recordings share.

        Args:
            mels: Rows of the features that the model takes.
        """
        self._speech = SpeechDetector()
        self._spectrogram = MelSpectrogram(FeatureExtractor(feature_size=mels).mel_filters)

    def windows_of(self, recording: bytes) -> list[Mel]:
        """Decode, find speech, cut it into passages and compute the features of each."""
        waveform = decode(io.BytesIO(recording), limit_s=LONGEST_S)
        probabilities = self._speech.probabilities_of(waveform)
        spans = tuple(spans_of(probabilities, length_samples=len(waveform)))
        passages = passages_of(spans, probabilities, limit_samples=WINDOW_SAMPLES) if spans else ()
        return [cut(self._spectrogram(it.samples(waveform, 0, len(it))), 0)[0] for it in passages]


class Stock:
    """Windows that are ready, without end."""

    def __init__(self, windows: Sequence[Mel]) -> None:
        """Store them."""
        self._windows = itertools.cycle(windows)
        self._lock = threading.Lock()

    def take(self, count: int) -> list[Mel]:
        """Hand out the next."""
        with self._lock:
            return list(itertools.islice(self._windows, count))


class Production:
    """Windows that are made meanwhile, as many ahead as may be."""

    def __init__(self, preprocessing: Preprocessing, recordings: Sequence[bytes], *, ahead: int) -> None:
        """Store what they are made of; `work` makes them."""
        self._preprocessing = preprocessing
        self._recordings = itertools.cycle(recordings)
        self._lock = threading.Lock()
        self._ready: queue.Queue[Mel] = queue.Queue(maxsize=ahead)
        self._is_over = threading.Event()
        self._made_s: list[float] = []

    def work(self) -> None:
        """Make windows until `stop`; for many threads."""
        while not self._is_over.is_set():
            with self._lock:
                recording = next(self._recordings)
            for window in self._preprocessing.windows_of(recording):
                self._put(window)

    def take(self, count: int) -> list[Mel]:
        """Hand out the next as soon as they are made."""
        return [self._ready.get(timeout=PATIENCE_S) for _ in range(count)]

    def stop(self) -> None:
        """Let the threads end."""
        self._is_over.set()

    def rate_between(self, began_s: float, ended_s: float) -> float:
        """Tell how many windows were made a second."""
        return sum(began_s < made_s <= ended_s for made_s in self._made_s) / (ended_s - began_s)

    def _put(self, window: Mel) -> None:
        while not self._is_over.is_set():
            with suppress(queue.Full):
                self._ready.put(window, timeout=0.1)
                self._made_s.append(time.perf_counter())
                return


def feed(device: Device, plan: Plan, take: Callable[[int], Sequence[Mel]], *, seconds: float) -> list[Stretch]:
    """Keep all workers busy.

    Each thread's stretch begins and ends with a batch of its own and lasts `seconds` or a little more. All go on until
    the last stretch has ended, so that nobody has the device to himself at the end.
    """
    is_over = threading.Event()
    count = plan.workers * FEEDERS_PER_WORKER
    ended = itertools.count(1)

    def bring() -> Stretch | None:
        try:
            device.read(take(plan.batch), encode=plan.encode)  # not counted: memory is found and code is loaded
            began_s = time.perf_counter()
            stretch = None
            windows = 0
            while not is_over.is_set():
                device.read(take(plan.batch), encode=plan.encode)
                windows += plan.batch
                ended_s = time.perf_counter()
                if stretch is None and ended_s >= began_s + seconds:
                    stretch = Stretch(began_s=began_s, ended_s=ended_s, windows=windows)
                    if next(ended) == count:
                        is_over.set()
        except BaseException:
            is_over.set()
            raise
        return stretch

    with ThreadPoolExecutor(count) as pool:
        stretches = [future.result() for future in [pool.submit(bring) for _ in range(count)]]
    return [stretch for stretch in stretches if stretch is not None]


def total(stretches: Sequence[Stretch]) -> float:
    """Add up the windows per second of all threads."""
    return sum(it.windows / (it.ended_s - it.began_s) for it in stretches)


def feed_and_make(
    device: Device, plan: Plan, preprocessing: Preprocessing, recordings: Sequence[bytes], *, seconds: float
) -> float:
    """Keep the workers busy with windows that are made meanwhile; return the windows per second made and read."""
    cores = len(os.sched_getaffinity(0))
    ahead = plan.workers * FEEDERS_PER_WORKER * plan.batch
    production = Production(preprocessing, recordings, ahead=ahead)
    with ThreadPoolExecutor(cores) as pool:
        makers = [pool.submit(production.work) for _ in range(cores)]
        try:
            stretches = feed(device, plan, production.take, seconds=seconds)
        finally:
            production.stop()
        for maker in makers:
            maker.result()
    # What was made before and read now, or is left over, would make the one or the other look better.
    made = production.rate_between(min(it.began_s for it in stretches), max(it.ended_s for it in stretches))
    return min(total(stretches), made)


def vocabulary_size_of(model: Path) -> int:
    """Return how many tokens the model has."""
    file = model / "vocabulary.json"
    if file.exists():
        return len(json.loads(file.read_text("utf-8")))
    return len((model / "vocabulary.txt").read_text("utf-8").splitlines())
