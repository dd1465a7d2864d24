"""Loads a Parakeet TDT in the files of onnx-asr."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from transcriber.engines import cuda, shares
from transcriber.engines.families import INT8
from transcriber.engines.parakeet import ParakeetEngine
from transcriber.engines.parakeet_network import ParakeetNetwork, has_cuda
from transcriber.engines.pieces import Vocabulary
from transcriber.engines.priority import lower_priority
from transcriber.errors import ModelUnavailable
from transcriber.settings import Settings

MODEL_TYPE = "nemo-conformer-tdt"

CUDA_BATCH_WINDOWS = 16
"""Not measured yet: what the warm-up then finds to fit. The first layers take most, 98 MB for 30 s in 32 bits."""

COMPUTE_TYPES = ("default", "float32", INT8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Config:
    """What config.json says, with onnx-asr's defaults."""

    mels: int
    subsampling: int
    most_tokens_per_frame: int

    @classmethod
    def read(cls, path: Path) -> _Config:
        try:
            said = json.loads(path.read_text("utf-8")) if path.is_file() else {}
            kind = said.get("model_type", MODEL_TYPE)
            config = cls(
                mels=int(said.get("features_size", 128)),
                subsampling=int(said.get("subsampling_factor", 8)),
                most_tokens_per_frame=int(said.get("max_tokens_per_step", 10)),
            )
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ModelUnavailable("the model's config.json is not what onnx-asr writes") from error
        if kind != MODEL_TYPE:
            raise ModelUnavailable(
                f"the model's config.json says model_type {kind!r}; of NeMo's models this container serves "
                f"{MODEL_TYPE}, such as istupakov/parakeet-tdt-0.6b-v3-onnx"
            )
        return config


def load(folder: Path, settings: Settings) -> ParakeetEngine:
    """Load a Parakeet TDT onto the devices that the settings name.

    Raises:
        ModelUnavailable: The folder is not such a model, has it not in the type that is asked for, or the device cannot
            hold it.
    """
    config = _Config.read(folder / "config.json")
    vocabulary = Vocabulary.read(folder / "vocab.txt")
    encoder, decoder = _files(folder, settings.compute_type)
    on_cuda = settings.device == "cuda" or (settings.device == "auto" and has_cuda() and cuda.DRIVER_FILE.exists())
    networks: Sequence[ParakeetNetwork]
    if on_cuda:
        cuda.check_driver(settings.device_indices, oldest_for_new_gpus=cuda.OLDEST_CUDA)
        networks = [
            ParakeetNetwork(encoder, decoder, device="cuda", device_index=index, threads=1)
            for index in settings.device_indices
        ]
        workers = max(1, settings.max_concurrent // len(networks))
        largest_batch = CUDA_BATCH_WINDOWS
    else:
        model_bytes = _size_bytes(encoder)
        share = shares.on_cpu(
            cores=len(os.sched_getaffinity(0)),
            model_bytes=model_bytes,
            workers=settings.max_concurrent,
            threads=settings.max_threads_per_batch,
        )
        # In a thread of its own: ONNX Runtime's threads inherit its priority, and the caller's, which answer /ping and
        # prepare the next windows, go before them.
        with ThreadPoolExecutor(1, thread_name_prefix="model-background", initializer=lower_priority) as background:
            loading = background.submit(
                ParakeetNetwork, encoder, decoder, device="cpu", device_index=0, threads=share.threads
            )
            networks = [loading.result()]
        workers = share.workers
        largest_batch = shares.windows_on_cpu(model_bytes)
    _check(networks[0], vocabulary, config)
    return ParakeetEngine(
        networks,
        vocabulary,
        mels=config.mels,
        subsampling=config.subsampling,
        most_tokens_per_frame=config.most_tokens_per_frame,
        largest_batch=settings.max_batch_windows or largest_batch,
        replicas=workers * len(networks),
        must_fit=on_cuda,
    )


def _files(folder: Path, compute_type: str) -> tuple[Path, Path]:
    """Choose the encoder of the type that is asked for, and the decoder.

    In 8 bits a decoder finds one scale for the values of all windows of a batch, so windows would change each other and
    have to be decoded one by one. In 32 bits it takes 72 MB at most, so it is taken in 32 bits wherever it is there.
    """
    if compute_type not in COMPUTE_TYPES:
        able = ", ".join(COMPUTE_TYPES)
        raise ModelUnavailable(f"COMPUTE_TYPE={compute_type}: a Parakeet is computed in one of {able}")
    encoder = {"float32": _float(folder, "encoder"), INT8: _int8(folder, "encoder")}
    wanted = encoder.get(compute_type, encoder["float32"] or encoder[INT8])
    decoder = _float(folder, "decoder_joint") or _int8(folder, "decoder_joint")
    if wanted is None or decoder is None:
        able = " and ".join(name for name, path in encoder.items() if path) or "other types"
        raise ModelUnavailable(f"COMPUTE_TYPE={compute_type}: the model's folder has its encoder in {able} only")
    return wanted, decoder


def _float(folder: Path, part: str) -> Path | None:
    path = folder / f"{part}-model.onnx"
    return path if path.is_file() else None


def _int8(folder: Path, part: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{part}-model?int8.onnx"))), None)


def _size_bytes(network: Path) -> int:
    """Return the size of a network's weights, which may lie in a file beside it."""
    beside = network.with_name(f"{network.name}.data")
    return network.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def _check(network: ParakeetNetwork, vocabulary: Vocabulary, config: _Config) -> None:
    """Refuse files that do not belong together."""
    if network.mels not in (None, config.mels):
        raise ModelUnavailable(
            f"config.json says {config.mels} features, but the encoder takes {network.mels}; they belong to two models"
        )
    outputs, pieces = network.outputs(config.mels), len(vocabulary.pieces)
    if outputs <= pieces:
        raise ModelUnavailable(
            f"the decoder tells {outputs} things apart and vocab.txt has {pieces} pieces, which leaves no durations: "
            "they belong to two models, or the model is no TDT"
        )
