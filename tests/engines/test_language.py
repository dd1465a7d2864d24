"""The language that is told by hand, against CTranslate2's own detection on the same encoder's output."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT, Recording, recordings
from transcriber.audio.decode import decode
from transcriber.engines import language
from transcriber.engines.language import COPY_BYTES, LanguageDetector, detector_of
from transcriber.engines.mel import Mel, MelSpectrogram, cut
from transcriber.engines.model_file import Shape, Table, Variable, read_table, shape_of
from transcriber.engines.suppression import biased
from transcriber.engines.whisper import WhisperEngine

Model = ctranslate2.models.Whisper
LIKE_CTRANSLATE2 = partial(pytest.approx, abs=1e-4)
"""Sums are added up in another order. A mistake in any part of the network comes to a hundred times as much."""

ROUNDED = 0.03
"""What 8 bits make of a probability at the most here. Without VNNI oneDNN also lets sums of two products overflow."""


def loaded(folder: Path, compute_type: str) -> Model:
    return Model(str(folder), device="cpu", compute_type=compute_type, intra_threads=1)


def detector(
    model: Model, folder: Path, *, table: Table | None = None, shape: Shape | None = None
) -> LanguageDetector | None:
    table = table or read_table(folder / "model.bin")
    vocabulary = json.loads((folder / "vocabulary.json").read_text("utf-8"))
    return detector_of(model, folder, table=table, shape=shape or shape_of(table), vocabulary=vocabulary)


def probabilities(detector: LanguageDetector | None, encoded: ctranslate2.StorageView) -> dict[str, float]:
    assert detector is not None
    told = detector.probabilities(np.asarray(encoded))
    return {f"<|{code}|>": float(each) for code, each in zip(detector.codes, told, strict=True)}


def encode(model: Model, mel: Mel) -> ctranslate2.StorageView:
    return model.encode(ctranslate2.StorageView.from_array(mel[np.newaxis]), to_cpu=True)


def features(engine: WhisperEngine, recording: Recording) -> Mel:
    with recording.path.open("rb") as file:
        samples = decode(file, limit_s=30).samples()
    spectrogram: MelSpectrogram = engine._spectrogram
    return cut(spectrogram(samples), 0)[0]


def short() -> list[Recording]:
    return [recording for recording in recordings() if recording.duration <= 30]


def altered(table: Table, name: str, value: bytes) -> Table:
    variables: tuple[Variable, ...] = tuple(
        replace(each, value=value) if each.name == name else each for each in table.variables
    )
    return replace(table, variables=variables)


@pytest.fixture(scope="module")
def exact(demo_model: Path) -> Model:
    """The demo model without 8 bits: what differs then is a mistake."""
    return loaded(demo_model, "float32")


@pytest.fixture(scope="module")
def rounded(demo_model: Path) -> Model:
    return loaded(demo_model, "int8")


@pytest.mark.parametrize("recording", short(), ids=lambda recording: recording.path.name)
def test_every_languages_probability_is_ctranslate2s(
    exact: Model, demo_model: Path, engine: WhisperEngine, recording: Recording
) -> None:
    encoded = encode(exact, features(engine, recording))

    assert probabilities(detector(exact, demo_model), encoded) == LIKE_CTRANSLATE2(
        dict(exact.detect_language(encoded)[0])
    )


@given(seed=st.integers(0, 2**32 - 1), loudness=st.sampled_from([0.0, 0.01, 0.3, 1.0, 5.0]))
def test_so_it_is_whatever_the_encoder_wrote(exact: Model, demo_model: Path, seed: int, loudness: float) -> None:
    """Noise for frames, of which no language is sure."""
    noise = np.random.default_rng(seed).normal(0, loudness, (1, 1500, 192)).astype(np.float32)
    encoded = ctranslate2.StorageView.from_array(noise)

    assert probabilities(detector(exact, demo_model), encoded) == LIKE_CTRANSLATE2(
        dict(exact.detect_language(encoded)[0])
    )


@pytest.mark.parametrize("quantization", ["float16", "float32", "int8"])
def test_so_it_is_for_another_shape_and_however_its_weights_are_stored(
    tmp_path_factory: pytest.TempPathFactory, quantization: str
) -> None:
    """Random weights of tiny's size, with six heads and OpenAI's vocabulary."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    script = ROOT / "scripts" / "make_shape_model.py"
    command = [sys.executable, script, "tiny", folder, "--quantization", quantization]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    model = loaded(folder, "float32")
    encoded = encode(model, np.random.default_rng(0).normal(0, 1, (80, 3000)).astype(np.float32))

    assert probabilities(detector(model, folder), encoded) == LIKE_CTRANSLATE2(dict(model.detect_language(encoded)[0]))


@pytest.mark.parametrize("recording", short(), ids=lambda recording: recording.path.name)
def test_beside_8_bits_it_tells_the_same_language(
    rounded: Model, demo_model: Path, engine: WhisperEngine, recording: Recording
) -> None:
    encoded = encode(rounded, features(engine, recording))
    theirs = rounded.detect_language(encoded)[0]
    ours = detector(rounded, demo_model)

    assert ours is not None
    assert ours(np.asarray(encoded))[0] == theirs[0][0][2:-2]
    assert probabilities(ours, encoded) == pytest.approx(dict(theirs), abs=ROUNDED)


def test_a_bias_of_the_last_projection_counts(exact: Model, demo_model: Path) -> None:
    """As in a model whose own file forbids a language."""
    ours = detector(exact, demo_model)
    assert ours is not None
    encoded = encode(exact, np.zeros((80, 3000), np.float32))
    likeliest = ours(np.asarray(encoded))[0]
    token = json.loads((demo_model / "vocabulary.json").read_text("utf-8")).index(f"<|{likeliest}|>")
    with biased(demo_model, [token]) as folder:
        model = loaded(folder, "float32")
        told = probabilities(detector(model, folder), encoded)

    assert told[f"<|{likeliest}|>"] == 0
    assert told == LIKE_CTRANSLATE2(dict(model.detect_language(encoded)[0]))


def test_a_model_with_a_copy_too_large_is_left_to_ctranslate2(exact: Model, demo_model: Path) -> None:
    """The copy has 32 bits for each weight of 13 square matrices in each layer."""
    shape = shape_of(read_table(demo_model / "model.bin"))
    layers = COPY_BYTES // (4 * 13 * shape.width**2)

    assert detector(exact, demo_model, shape=replace(shape, decoder_layers=layers + 1)) is None


@pytest.mark.parametrize("name", sorted(language.KNOWN_DECODER))
def test_a_decoder_that_is_built_otherwise_is_left_to_ctranslate2(
    exact: Model, demo_model: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    table = read_table(demo_model / "model.bin")

    assert detector(exact, demo_model, table=altered(table, name, b"\x02")) is None
    assert caplog.messages == ["language told by ctranslate2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), "FileNotFoundError"),
        (lambda folder: (folder / "config.json").write_text("{}"), "lang_ids"),
        (lambda folder: (folder / "config.json").write_text("?"), "JSONDecodeError"),
        (lambda folder: (folder / "config.json").write_text('{"lang_ids": [999999]}'), "IndexError"),
        (lambda folder: (folder / "model.bin").write_bytes(b""), "ValueError"),
    ],
    ids=["no config", "no languages", "no json", "no such token", "no weights"],
)
def test_a_folder_that_tells_too_little_is_left_to_ctranslate2(
    exact: Model, demo_model: Path, tmp_path: Path, change: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "model"
    shutil.copytree(demo_model, folder)
    table = read_table(folder / "model.bin")
    change(folder)

    assert detector(exact, folder, table=table) is None
    assert reason in caplog.records[0].__dict__["reason"]


def test_a_model_for_one_language_has_nothing_to_tell(demo_model: Path) -> None:
    class English:
        is_multilingual = False

    assert detector(English(), demo_model) is None  # type: ignore[arg-type]


def test_gelu_is_that_of_the_error_function() -> None:
    vector = np.linspace(-6, 6, 1001, dtype=np.float32)
    expected = [x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in vector.tolist()]

    assert language._gelu(vector).tolist() == pytest.approx(expected, abs=1e-6)
