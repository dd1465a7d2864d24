"""Loads a Whisper in CTranslate2's format, and shares the device out among its replicas."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
from faster_whisper import WhisperModel

from transcriber.engines import cuda
from transcriber.engines.whisper import WhisperEngine
from transcriber.errors import ModelUnavailable
from transcriber.settings import Settings

SMALL_MODEL_BYTES = 100 * 1024 * 1024
"""Below this a CPU serves more with one thread per replica and one replica per core: the demo model does 32 windows a
second so, against 3.8 with two threads in one replica. tiny and base are of this size in int8."""

CPU_BATCH_WINDOWS = 8
CUDA_BATCH_WINDOWS = 16


def load(folder: Path, settings: Settings) -> WhisperEngine:
    """Load a Whisper in CTranslate2's format onto the device that the settings name.

    Raises:
        ModelUnavailable: The folder is not such a model, or the device cannot hold it.
    """
    vocabulary_size = _vocabulary_size(folder)
    device = settings.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
    if device == "cuda":
        cuda.prepare(settings.device_indices)
    plan = _Workers.plan(settings, device=device, model_bytes=(folder / "model.bin").stat().st_size)
    try:
        model = WhisperModel(
            str(folder),
            device=device,
            device_index=list(settings.device_indices) if device == "cuda" else 0,
            compute_type=settings.compute_type,
            cpu_threads=plan.threads,
            num_workers=plan.per_device,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelUnavailable(
            f"the model {settings.model_id!r} cannot be loaded on {device} as {settings.compute_type}: {error}"
        ) from error
    return WhisperEngine(
        model, vocabulary_size=vocabulary_size, largest_batch=plan.batch_windows, replicas=plan.replicas
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workers:
    """How the device is shared out: batches at the same time, threads for each, windows in each."""

    replicas: int
    per_device: int
    threads: int
    batch_windows: int

    @classmethod
    def plan(cls, settings: Settings, *, device: str, model_bytes: int) -> _Workers:
        devices = len(settings.device_indices) if device == "cuda" else 1
        if device == "cuda":
            per_device = max(1, settings.max_concurrent // devices)
            threads = 1
        else:
            cores = len(os.sched_getaffinity(0))
            per_device = settings.max_concurrent or (cores if model_bytes < SMALL_MODEL_BYTES else 1)
            threads = settings.max_threads_per_batch or max(1, cores // per_device)
        default = CUDA_BATCH_WINDOWS if device == "cuda" else CPU_BATCH_WINDOWS
        return cls(
            replicas=per_device * devices,
            per_device=per_device,
            threads=threads,
            batch_windows=settings.max_batch_windows or default,
        )


def _vocabulary_size(folder: Path) -> int:
    try:
        tokens = json.loads((folder / "vocabulary.json").read_text("utf-8"))
    except FileNotFoundError:
        try:
            return len((folder / "vocabulary.txt").read_text("utf-8").splitlines())
        except FileNotFoundError as error:
            raise ModelUnavailable(
                "the model's folder has no vocabulary.json; MODEL_ID must name a Whisper in CTranslate2's format, "
                "made by ct2-transformers-converter"
            ) from error
    return len(tokens)
