"""Loads a Voxtral in transformers' files."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from transcriber.engines import cuda, shares, voxtral_rules
from transcriber.engines.voxtral import VoxtralEngine
from transcriber.engines.voxtral_network import (
    FLOAT_TYPES,
    VoxtralNetwork,
    VoxtralPrompts,
    has_cuda,
    use_threads,
)
from transcriber.errors import ModelUnavailable
from transcriber.settings import Settings

log = logging.getLogger(__name__)

MODEL_TYPE = "voxtral"


def load(folder: Path, settings: Settings) -> VoxtralEngine:
    """Load a Voxtral onto the devices that the settings name.

    Raises:
        ModelUnavailable: The folder is not such a model, is not computed in the type that is asked for, or a device
            cannot hold it.
    """
    _check_config(folder / "config.json")
    on_cuda = settings.device == "cuda" or (settings.device == "auto" and has_cuda())
    float_type = _float_type(settings.compute_type, on_cuda=on_cuda)
    if on_cuda:
        cuda.check_driver(settings.device_indices, oldest=cuda.OLDEST_CUDA_FOR_TORCH)
        devices = [f"cuda:{index}" for index in settings.device_indices]
    else:
        use_threads(settings.max_threads_per_batch or len(os.sched_getaffinity(0)))
        devices = ["cpu"]
    prompts = VoxtralPrompts(folder)
    networks = [
        VoxtralNetwork(
            folder, device=device, float_type=float_type, end_token=prompts.end_token, pad_token=prompts.pad_token
        )
        for device in devices
    ]
    _check(networks[0], prompts)
    return VoxtralEngine(
        prompts,
        networks,
        largest_batch=settings.max_batch_windows or _batch_windows(networks, on_cuda=on_cuda),
        must_fit=on_cuda,
    )


def _check_config(path: Path) -> None:
    try:
        kind = json.loads(path.read_text("utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable("the model's config.json is not what transformers writes") from error
    if kind != MODEL_TYPE:
        raise ModelUnavailable(
            f"the model's config.json says model_type {kind!r}; of transformers' models this container serves "
            f"{MODEL_TYPE}, such as mistralai/Voxtral-Mini-3B-2507"
        )


def _float_type(compute_type: str, *, on_cuda: bool) -> str:
    """Choose what to compute in: by default bfloat16 on CUDA, which is what the weights are, and float32 on a CPU."""
    if compute_type == "default":
        return "bfloat16" if on_cuda else "float32"
    if compute_type not in FLOAT_TYPES:
        able = ", ".join(("default", *FLOAT_TYPES))
        raise ModelUnavailable(f"COMPUTE_TYPE={compute_type}: a Voxtral is computed in one of {able}")
    return compute_type


def _batch_windows(networks: Sequence[VoxtralNetwork], *, on_cuda: bool) -> int:
    if not on_cuda:
        return shares.windows_on_cpu(networks[0].size_bytes)
    room_bytes = min(network.free_bytes() for network in networks)
    shape = networks[0].shape
    windows = voxtral_rules.windows_on_cuda(shape, room_bytes=room_bytes)
    log.info(
        "device shared out",
        extra={
            "batch_windows": windows,
            "free_bytes": room_bytes,
            "planned_window_bytes": voxtral_rules.window_bytes(shape),
        },
    )
    return windows


def _check(network: VoxtralNetwork, prompts: VoxtralPrompts) -> None:
    """Refuse files that do not belong together."""
    if prompts.tokens > network.tokens:
        raise ModelUnavailable(
            f"the model tells {network.tokens} tokens apart and its tekken.json has {prompts.tokens}: they belong to "
            "two models"
        )
    if network.audio_token != prompts.audio_token:
        raise ModelUnavailable(
            f"the model's config.json says audio_token_id {network.audio_token}, and its prompts are written with "
            f"{prompts.audio_token}: they belong to two models"
        )
    if network.mels != prompts.mels:
        raise ModelUnavailable(
            f"the model takes {network.mels} features and its preprocessor_config.json says {prompts.mels}: they "
            "belong to two models"
        )
