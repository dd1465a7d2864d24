"""A Whisper on its device, without a server around it, and how long its calls take."""

from __future__ import annotations

import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
import tokenizers
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

FRAMES = 3000
MODEL_TOKENS = 448
MAX_INITIAL_TIMESTAMP = 50
LONG_CALL_S = 2.0
"""A call that takes longer is not made more than twice: once to warm up, once to be timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """How text is searched for; the rest is as the container has it by default.

    Attributes:
        suppressed: Tokens that every call forbids.
        max_length: Prompt and text together; CTranslate2 gives at most half of it.
    """

    beam: int
    timestamps: bool = False
    suppressed: tuple[int, ...] = ()
    max_length: int = MODEL_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The median of some calls, after one that is not counted."""

    median_s: float
    calls: int


class Model:
    """CTranslate2's Whisper, and random windows for it."""

    def __init__(self, folder: Path, *, device: str, compute_type: str, workers: int = 1) -> None:
        """Load it.

        Args:
            folder: Of a model in CTranslate2's format.
            device: `cpu` or `cuda`, which must have been prepared.
            compute_type: What CTranslate2 calls so; `default` for that of the file.
            workers: Calls at the same time. Those of a CPU share its cores.
        """
        threads = 1 if device == "cuda" else max(1, len(os.sched_getaffinity(0)) // workers)
        self.whisper = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type=compute_type, inter_threads=workers, intra_threads=threads
        )
        self.workers = workers
        self.suppressed = suppressed_tokens(folder)
        self._tokens = _tokens_of(folder)

    def windows(self, count: int) -> ctranslate2.StorageView:
        """Return features of noise on the host."""
        drawn = np.random.default_rng(count).standard_normal((count, self.whisper.n_mels, FRAMES), dtype=np.float32)
        return ctranslate2.StorageView.from_array(drawn)

    def encode(self, windows: ctranslate2.StorageView, *, to_cpu: bool = False) -> ctranslate2.StorageView:
        """Encode; returns when the device has done it."""
        return self.whisper.encode(windows, to_cpu=to_cpu)

    def search(self, windows: ctranslate2.StorageView, search: Search) -> int:
        """Write the text of windows, encoded or not.

        Returns:
            The steps that it took: the longest text, with its timestamps and its end.
        """
        prompt = [*self._tokens.sot_sequence, *([] if search.timestamps else [self._tokens.no_timestamps])]
        results = self.whisper.generate(
            windows,
            [prompt] * windows.shape[0],
            beam_size=search.beam,
            patience=1,
            length_penalty=1,
            max_length=search.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=list(search.suppressed),
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
        )
        return max(len(result.sequences_ids[0]) for result in results) + 1

    def close(self) -> None:
        """Give the device's memory back."""
        self.whisper.unload_model()


def suppressed_tokens(folder: Path) -> tuple[int, ...]:
    """Return what faster-whisper forbids by default; CTranslate2 would write out of bounds for unknown tokens."""
    size = len(json.loads((folder / "vocabulary.json").read_text("utf-8")))
    return tuple(token for token in get_suppressed_tokens(_tokens_of(folder), [-1]) if 0 <= token < size)


def _tokens_of(folder: Path) -> Tokenizer:
    hf_tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    return Tokenizer(hf_tokenizer, multilingual=True, task="transcribe", language="en")


def timed(call: Callable[[], object], *, at_least_s: float = 0.3, at_most: int = 20) -> Timing:
    """Time a call, as often as fits `at_least_s`, and at least twice unless it is a long one."""
    began_s = time.perf_counter()
    call()
    enough = 1 if time.perf_counter() - began_s > LONG_CALL_S else 2
    taken_s: list[float] = []
    while len(taken_s) < at_most and (len(taken_s) < enough or sum(taken_s) < at_least_s):
        began_s = time.perf_counter()
        call()
        taken_s.append(time.perf_counter() - began_s)
    return Timing(median_s=statistics.median(taken_s), calls=len(taken_s))


def windows_per_s(model: Model, *, batch: int, search: Search, seconds: float) -> float:
    """Keep all workers busy with batches that are encoded and searched in one call.

    One caller more than there are workers, so that a batch waits whenever a worker is done. Each caller makes one call
    that is not counted.

    Args:
        model: With its workers.
        batch: Windows in a call.
        search: The same for all.
        seconds: For which new calls are begun.
    """
    windows = model.windows(batch)
    everybody = threading.Barrier(model.workers + 1)

    def call_again_and_again() -> float:
        model.search(windows, search)
        everybody.wait()
        began_s = time.perf_counter()
        calls = 0
        while calls == 0 or time.perf_counter() - began_s < seconds:
            model.search(windows, search)
            calls += 1
        return calls * batch / (time.perf_counter() - began_s)

    with ThreadPoolExecutor(model.workers + 1) as pool:
        callers = [pool.submit(call_again_and_again) for _ in range(model.workers + 1)]
        return sum(caller.result() for caller in callers)


def largest_difference(whole: np.ndarray, parts: Sequence[np.ndarray]) -> tuple[float, int]:
    """Compare an encoder's output for one batch with that for its parts.

    Returns:
        The largest difference of any number, and how many windows differ by more than a tenth of what numbers of a
        layer-normalised output are worth.
    """
    differences = np.abs(whole.astype(np.float32) - np.concatenate(parts).astype(np.float32)).max(axis=(1, 2))
    # A comparison that is false for NaN, which a broken batch may hold.
    return float(differences.max()), int((~(differences < 0.1)).sum())
