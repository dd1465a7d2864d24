"""What the locked requirements promise: hashes, no index, and in each image its own family only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

LOCKS = sorted(ROOT.glob("requirements*.txt"))
IMAGE_LOCKS = ("requirements.txt", "requirements-gpu.txt")
PARAKEET_LOCKS = ("requirements-parakeet.txt", "requirements-parakeet-gpu.txt")
VOXTRAL_LOCK = "requirements-voxtral.txt"
WHISPER_ALONE = {"ctranslate2", "faster-whisper", "tokenizers"}


def requirements(text: str) -> Iterator[str]:
    """Yield each requirement with its continued lines."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_locked_by_hash_and_none_names_an_index(lock: Path) -> None:
    found = list(requirements(lock.read_text("utf-8")))

    assert found
    for requirement in found:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==\S+ ", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def packages(name: str) -> set[str]:
    return {requirement.split("==")[0] for requirement in requirements((ROOT / name).read_text("utf-8"))}


@pytest.mark.parametrize("name", IMAGE_LOCKS)
def test_images_carry_no_torch_no_ffmpeg_and_no_cudnn(name: str) -> None:
    assert not {package for package in packages(name) if re.search(r"torch|ffmpeg|cudnn|triton", package)}


@pytest.mark.parametrize("name", PARAKEET_LOCKS)
def test_parakeet_images_carry_nothing_of_whisper(name: str) -> None:
    assert not packages(name) & {"onnx", "onnx-asr", "torch"}
    assert packages("requirements.txt") - packages(name) - {"onnxruntime"} == WHISPER_ALONE


def test_one_onnx_runtime_is_installed() -> None:
    """onnxruntime and onnxruntime-gpu install the same folder."""
    assert packages("requirements-parakeet.txt") & {"onnxruntime", "onnxruntime-gpu"} == {"onnxruntime"}
    assert packages("requirements-parakeet-gpu.txt") & {"onnxruntime", "onnxruntime-gpu"} == {"onnxruntime-gpu"}
    assert "nvidia-cudnn-cu12" in packages("requirements-parakeet-gpu.txt")


def test_parakeet_images_run_the_versions_of_the_whisper_image() -> None:
    whisper, parakeet = (
        {requirement.split()[0] for requirement in requirements((ROOT / name).read_text("utf-8"))}
        for name in ("requirements.txt", "requirements-parakeet.txt")
    )

    assert parakeet < whisper


def test_voxtral_images_carry_nothing_of_whisper() -> None:
    assert not packages(VOXTRAL_LOCK) & {"ctranslate2", "faster-whisper", "onnx", "onnx-asr", "onnxruntime-gpu"}
    assert {"onnxruntime", "torch", "transformers", "mistral-common"} <= packages(VOXTRAL_LOCK)


def test_voxtral_images_run_the_versions_of_the_others_but_for_numpy() -> None:
    """mistral-common wants an older one on Python 3.11."""
    locked = {name: set(requirements((ROOT / name).read_text("utf-8"))) for name in ("requirements.txt", VOXTRAL_LOCK)}
    whisper, voxtral = (dict(line.split()[0].split("==") for line in lines) for lines in locked.values())

    assert {name for name in whisper.keys() & voxtral.keys() if whisper[name] != voxtral[name]} <= {"numpy"}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_lock_is_one_that_make_writes(lock: Path) -> None:
    recipe = (ROOT / "Makefile").read_text("utf-8").split("lock:", 1)[1].split("clean:", 1)[0]

    assert lock.stem in recipe.split("for name in ")[1].split(";")[0].split()


def test_gpu_image_runs_the_versions_of_the_cpu_image_and_cublas_12() -> None:
    cpu, gpu = (
        {requirement.split()[0] for requirement in requirements((ROOT / name).read_text("utf-8"))}
        for name in IMAGE_LOCKS
    )

    assert cpu < gpu
    assert {requirement.rsplit(".", 3)[0] for requirement in gpu - cpu} == {"nvidia-cublas-cu12==12"}
