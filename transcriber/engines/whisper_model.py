"""Loads a Whisper in CTranslate2's format, and shares the device out among its replicas."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import tokenizers
from faster_whisper import WhisperModel

from transcriber.engines import cuda, gpu_memory, shares, suppression
from transcriber.engines.copies import Wide
from transcriber.engines.gpu_memory import GpuMemory, PeakMemory
from transcriber.engines.language import detector_of
from transcriber.engines.model_file import Shape, Table, read_table, shape_of
from transcriber.engines.priority import lower_priority
from transcriber.engines.shares import Share
from transcriber.engines.weights import MODEL_FILE
from transcriber.engines.whisper import WhisperEngine
from transcriber.errors import ModelUnavailable
from transcriber.settings import Settings

log = logging.getLogger(__name__)

TOKENIZER_FILE = "tokenizer.json"

UNMEASURED_BATCH_WINDOWS = 16
"""On CUDA when the driver does not tell how much memory is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """A model's folder, and what can be read in it before the model is loaded."""

    folder: Path
    vocabulary: Sequence[str]
    table: Table
    shape: Shape

    @classmethod
    def read(cls, folder: Path) -> _Source:
        vocabulary = _vocabulary(folder)
        table = read_table(folder / MODEL_FILE)
        shape = shape_of(table)
        if len(vocabulary) > shape.vocabulary:
            # A token that the vocabulary has and the model has not would be read beyond the end of its memory.
            raise ModelUnavailable(
                f"the model's vocabulary has {len(vocabulary):,} tokens, but its model.bin only {shape.vocabulary:,}; "
                "convert the model again"
            )
        return cls(folder=folder, vocabulary=vocabulary, table=table, shape=shape)


def load(folder: Path, settings: Settings) -> WhisperEngine:
    """Load a Whisper in CTranslate2's format onto the device that the settings name.

    Raises:
        ModelUnavailable: The folder is not such a model, or the device cannot hold it.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
    source = _Source.read(folder)
    suppression.sweep()
    return _load_on_cuda(source, settings) if device == "cuda" else _load_on_cpu(source, settings)


def _load_on_cpu(source: _Source, settings: Settings) -> WhisperEngine:
    cores, threads = len(os.sched_getaffinity(0)), settings.max_threads_per_batch
    size = source.table.size_bytes
    share = shares.on_cpu(cores=cores, model_bytes=size, workers=settings.max_concurrent, threads=threads)
    alone = shares.wide_on_cpu(share, cores=cores, model_bytes=size, threads=threads)
    # In a thread of its own: CTranslate2's workers inherit its priority, and the caller's threads, which answer /ping
    # and prepare the next windows, go before them.
    with ThreadPoolExecutor(1, thread_name_prefix="model-background", initializer=lower_priority) as background:
        model, suppressed = background.submit(_load_model, source, settings, device="cpu", share=share).result()
        wide = None
        if alone:
            copy, _ = background.submit(_load_model, source, settings, device="cpu", share=alone).result()
            wide = Wide(model=copy, at_once=alone.workers, decodes=size >= shares.CACHED_MODEL_BYTES)
    return WhisperEngine(
        model,
        vocabulary_size=len(source.vocabulary),
        largest_batch=min(
            settings.max_batch_windows
            or shares.windows_of_ctranslate2_on_cpu(
                size, vocabulary=len(source.vocabulary), has_mkl=_multiplies_by_mkl()
            ),
            shares.largest_by_index(source.shape),
        ),
        replicas=share.workers,
        suppressed=suppressed,
        detector=detector_of(
            model.model, source.folder, table=source.table, shape=source.shape, vocabulary=source.vocabulary
        ),
        wide=wide,
    )


def _multiplies_by_mkl() -> bool:
    """Tell whether CTranslate2 uses Intel's MKL on this CPU; nothing else that it uses there knows 16 bits."""
    return "int16" in ctranslate2.get_supported_compute_types("cpu")


def _load_on_cuda(source: _Source, settings: Settings) -> WhisperEngine:
    # Not in the background: a worker that comes late to launch a kernel leaves the device idle.
    indices = settings.device_indices
    cuda.prepare(indices)
    memories = [GpuMemory(index) for index in indices]
    share = Share(_workers_per_device(source, settings, memories), 1)
    model, suppressed = _load_model(source, settings, device="cuda", share=share)
    gpu_memory.keep_freed(memories)
    return WhisperEngine(
        model,
        vocabulary_size=len(source.vocabulary),
        largest_batch=_cuda_batch_windows(source, settings, memories, share, model.model.compute_type),
        replicas=share.workers * len(indices),
        suppressed=suppressed,
        memory=PeakMemory(memories),
    )


def _load_model(
    source: _Source, settings: Settings, *, device: str, share: Share
) -> tuple[WhisperModel, tuple[int, ...]]:
    """Load the model, and return it with the tokens that its calls must forbid."""
    with ExitStack() as stack:
        folder = source.folder
        is_biased = _is_to_be_biased(source, settings, device=device)
        if is_biased:
            tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER_FILE))
            forbidden = suppression.suppressed(tokenizer, len(source.vocabulary)).by_bias
            folder = stack.enter_context(suppression.biased(folder, forbidden))
        try:
            model = WhisperModel(
                str(folder),
                device=device,
                device_index=list(settings.device_indices) if device == "cuda" else 0,
                compute_type=settings.compute_type,
                cpu_threads=share.threads,
                num_workers=share.workers,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelUnavailable(
                f"the model {settings.model_id!r} cannot be loaded on {device} as {settings.compute_type}: {error}"
            ) from error
    suppressed = suppression.suppressed(model.hf_tokenizer, len(source.vocabulary))
    return model, suppressed.by_call if is_biased else (*suppressed.by_bias, *suppressed.by_call)


def _is_to_be_biased(source: _Source, settings: Settings, *, device: str) -> bool:
    if settings.suppress_by_bias == "off" or (settings.suppress_by_bias == "auto" and device == "cpu"):
        return False
    able = (source.folder / TOKENIZER_FILE).is_file() and suppression.can_be_biased(
        source.table, free_bytes=suppression.free_host_bytes()
    )
    if not able:
        log.warning("tokens are suppressed by each call", extra={"reason": "no memory to spare, or another model"})
    return able


def _workers_per_device(source: _Source, settings: Settings, memories: Sequence[GpuMemory]) -> int:
    if settings.max_concurrent:
        return max(1, settings.max_concurrent // len(memories))
    try:
        room_bytes = min(memory.total_bytes() for memory in memories) - source.table.size_bytes
    except ModelUnavailable as refusal:
        log.warning("memory not known", extra={"reason": refusal.message})
        return 1
    float_bytes = shares.float_bytes_of(settings.compute_type, source.shape)
    return shares.workers_on_cuda(source.shape, room_bytes=room_bytes, float_bytes=float_bytes)


def _cuda_batch_windows(
    source: _Source, settings: Settings, memories: Sequence[GpuMemory], share: Share, compute_type: str
) -> int:
    if settings.max_batch_windows:
        return min(settings.max_batch_windows, shares.largest_by_index(source.shape))
    try:
        room_bytes = min(memory.free_bytes() for memory in memories)
    except ModelUnavailable as refusal:
        log.warning("memory not known", extra={"reason": refusal.message})
        return UNMEASURED_BATCH_WINDOWS
    float_bytes = shares.float_bytes_of(compute_type, source.shape)
    windows = shares.windows_on_cuda(
        source.shape, room_bytes=room_bytes, float_bytes=float_bytes, workers=share.workers
    )
    log.info(
        "device shared out",
        extra={
            "workers": share.workers,
            "batch_windows": windows,
            "free_bytes": room_bytes,
            "planned_window_bytes": shares.item_bytes(source.shape, float_bytes=float_bytes),
            "compute_type": compute_type,
        },
    )
    return windows


def _vocabulary(folder: Path) -> list[str]:
    """Return the model's tokens; their places are their ids."""
    try:
        return list(json.loads((folder / "vocabulary.json").read_text("utf-8")))
    except FileNotFoundError:
        try:
            return (folder / "vocabulary.txt").read_text("utf-8").splitlines()
        except FileNotFoundError as error:
            raise ModelUnavailable(
                "the model's folder has no vocabulary.json; MODEL_ID must name a Whisper in CTranslate2's format, "
                "made by ct2-transformers-converter"
            ) from error
