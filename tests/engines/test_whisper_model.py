"""What a CUDA device is asked to do, as far as it can be told without one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from faster_whisper import WhisperModel

from tests.engines.test_model_file import model_file, written
from transcriber.engines import whisper_model
from transcriber.engines.shares import Share
from transcriber.engines.whisper_model import UNMEASURED_BATCH_WINDOWS, _Source
from transcriber.errors import ModelUnavailable
from transcriber.settings import load

GB = 10**9


@dataclass
class FakeMemory:
    """One device's memory; None when its driver does not tell."""

    total: int | None = None
    free: int | None = None

    def total_bytes(self) -> int:
        return self._told(self.total)

    def free_bytes(self) -> int:
        return self._told(self.free)

    @staticmethod
    def _told(value: int | None) -> int:
        if value is None:
            raise ModelUnavailable("the NVIDIA driver cannot tell its memory")
        return value


@pytest.fixture
def large(tmp_path: Path) -> _Source:
    written(tmp_path, model_file(layers=32))
    (tmp_path / "vocabulary.json").write_text("[]")
    return _Source.read(tmp_path)


@pytest.mark.parametrize(
    ("environ", "totals", "expected"),
    [
        ({}, [24 * GB], 2),
        ({}, [141 * GB], 4),
        ({}, [141 * GB, 24 * GB], 2),
        ({}, [None], 1),
        ({"MAX_CONCURRENT": "6"}, [24 * GB, 24 * GB], 3),
        ({"MAX_CONCURRENT": "1"}, [24 * GB, 24 * GB], 1),
    ],
)
def test_workers_are_the_operators_choice_or_what_the_smallest_device_holds(
    large: _Source, environ: dict[str, str], totals: list[int | None], expected: int
) -> None:
    memories = [FakeMemory(total=total) for total in totals]

    assert whisper_model._workers_per_device(large, load(environ), memories) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environ", "free", "compute_type", "expected"),
    [
        ({}, [20 * GB], "float16", 13),
        ({}, [20 * GB], "float32", 6),
        ({}, [140 * GB, 20 * GB], "float16", 13),
        ({}, [140 * GB], "int8_float16", 48),
        ({}, [None], "float16", UNMEASURED_BATCH_WINDOWS),
        ({"MAX_BATCH_WINDOWS": "90"}, [None], "float16", 90),
        ({"MAX_BATCH_WINDOWS": "95"}, [20 * GB], "float16", 95),
    ],
)
def test_a_batch_is_the_operators_choice_or_what_is_free_on_the_fullest_device(
    large: _Source, environ: dict[str, str], free: list[int | None], compute_type: str, expected: int
) -> None:
    memories = [FakeMemory(free=each) for each in free]
    windows = whisper_model._cuda_batch_windows(
        large,
        load(environ),
        memories,  # type: ignore[arg-type]
        Share(2, 1),
        compute_type,
    )

    assert windows == expected


@pytest.mark.parametrize(
    ("environ", "device", "expected"),
    [
        ({}, "cuda", True),
        ({}, "cpu", False),
        ({"SUPPRESS_BY_BIAS": "on"}, "cpu", True),
        ({"SUPPRESS_BY_BIAS": "off"}, "cuda", False),
    ],
)
def test_the_model_forbids_tokens_itself_on_cuda_or_when_told(
    demo_model: Path, environ: dict[str, str], device: str, expected: bool
) -> None:
    assert whisper_model._is_to_be_biased(_Source.read(demo_model), load(environ), device=device) == expected


def test_without_a_tokenizer_each_call_forbids(large: _Source) -> None:
    assert not whisper_model._is_to_be_biased(large, load({}), device="cuda")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="MKL is for x86-64")
@pytest.mark.parametrize(("chosen", "expected"), [("1", "True"), ("0", "False")])
def test_the_library_that_multiplies_is_known(chosen: str, expected: str) -> None:
    """In a process of its own, since CTranslate2 chooses once."""
    asked = "from transcriber.engines import whisper_model; print(whisper_model._multiplies_by_mkl())"
    told = subprocess.run(
        [sys.executable, "-c", asked],
        env=os.environ | {"CT2_USE_MKL": chosen},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )

    assert told.stdout.strip() == expected


def test_an_operators_batch_goes_before_ours(demo_model: Path) -> None:
    engine = whisper_model.load(demo_model, load({"MAX_BATCH_WINDOWS": "3"}))

    assert engine.capabilities.largest_batch == 3


@pytest.mark.parametrize(("has_mkl", "expected"), [(True, 2), (False, 1)])
def test_a_batch_on_a_cpu_suits_the_library(
    demo_model: Path, monkeypatch: pytest.MonkeyPatch, *, has_mkl: bool, expected: int
) -> None:
    monkeypatch.setattr(whisper_model, "_multiplies_by_mkl", lambda: has_mkl)
    engine = whisper_model.load(demo_model, load({}))

    assert engine.capabilities.largest_batch == expected


@pytest.mark.parametrize(
    ("cores", "environ", "expected"),
    [(2, {}, (2, 1)), (8, {}, (4, 2)), (1, {}, None), (2, {"MAX_THREADS_PER_BATCH": "1"}, None)],
)
def test_a_lone_window_of_a_small_model_has_more_threads(
    demo_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    environ: dict[str, str],
    expected: tuple[int, int] | None,
) -> None:
    asked = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(cores)))
    monkeypatch.setattr(
        whisper_model, "WhisperModel", lambda *_, **options: asked.append(options) or WhisperModel(*_, **options)
    )
    engine = whisper_model.load(demo_model, load({"DEVICE": "cpu"} | environ))
    engine.close()
    threads = [(options["cpu_threads"], options["num_workers"]) for options in asked]

    assert threads == [(1, cores), *([expected] if expected else [])]
