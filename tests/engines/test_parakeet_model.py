"""What a Parakeet's folder must hold, and which of its files are loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from transcriber.engines import parakeet_model
from transcriber.errors import ModelUnavailable
from transcriber.settings import load


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", '{"model_type": "nemo-conformer-rnnt"}', "model_type 'nemo-conformer-rnnt'"),
        ("config.json", "[]", "not what onnx-asr writes"),
        ("config.json", "{", "not what onnx-asr writes"),
        ("config.json", '{"features_size": 80}', "80 features, but the encoder takes 128"),
        ("vocab.txt", "a 0\nb 1\n", "hold <blk> once"),
        ("vocab.txt", "a 0\n<blk> 2\n", "number its pieces from 0"),
        ("vocab.txt", "a\n", "a piece and its number on each line"),
        ("vocab.txt", "".join(f"a{i} {i}\n" for i in range(70)) + "<blk> 70\n", "leaves no durations"),
        ("encoder-model.onnx", "no network", r"encoder-model\.onnx cannot be loaded on cpu"),
    ],
)
def test_a_folder_that_does_not_fit_together_is_refused_in_a_sentence(
    parakeet_folder: Path, tmp_path: Path, name: str, content: str, says: str
) -> None:
    folder = shutil.copytree(parakeet_folder, tmp_path / "model")
    (folder / name).write_text(content, "utf-8")

    with pytest.raises(ModelUnavailable, match=says):
        parakeet_model.load(folder, load({"DEVICE": "cpu"}))


def test_an_encoder_for_a_decoder_is_refused(parakeet_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(parakeet_folder, tmp_path / "model")
    shutil.copy(folder / "encoder-model.onnx", folder / "decoder_joint-model.onnx")

    with pytest.raises(ModelUnavailable, match="not the prediction and joint network"):
        parakeet_model.load(folder, load({"DEVICE": "cpu"}))


def test_a_model_without_a_config_has_onnx_asrs_defaults(parakeet_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(parakeet_folder, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").unlink()
    engine = parakeet_model.load(folder, load({"DEVICE": "cpu"}))

    assert config["features_size"] == 128
    assert engine._most_tokens_per_frame == config["max_tokens_per_step"]


@pytest.mark.parametrize(
    ("compute_type", "missing", "chosen"),
    [
        ("default", "none", ("encoder-model.onnx", "decoder_joint-model.onnx")),
        ("float32", "none", ("encoder-model.onnx", "decoder_joint-model.onnx")),
        ("int8", "none", ("encoder-model.int8.onnx", "decoder_joint-model.onnx")),
        ("int8", "decoder_joint-model.onnx", ("encoder-model.int8.onnx", "decoder_joint-model.int8.onnx")),
        ("default", "encoder-model.onnx", ("encoder-model.int8.onnx", "decoder_joint-model.onnx")),
    ],
)
def test_the_type_chooses_the_files(
    parakeet_folder: Path, tmp_path: Path, compute_type: str, missing: str, chosen: tuple[str, str]
) -> None:
    folder = shutil.copytree(parakeet_folder, tmp_path / "model")
    (folder / missing).unlink(missing_ok=True)

    assert tuple(path.name for path in parakeet_model._files(folder, compute_type)) == chosen


@pytest.mark.parametrize(
    ("compute_type", "says"),
    [
        ("float16", "COMPUTE_TYPE=float16: a Parakeet is computed in one of default, float32, int8"),
        ("float32", "COMPUTE_TYPE=float32: the model's folder has its encoder in int8 only"),
    ],
)
def test_a_type_that_is_not_there_is_refused(
    parakeet_folder: Path, tmp_path: Path, compute_type: str, says: str
) -> None:
    folder = shutil.copytree(parakeet_folder, tmp_path / "model")
    (folder / "encoder-model.onnx").unlink()

    with pytest.raises(ModelUnavailable, match=says):
        parakeet_model.load(folder, load({"DEVICE": "cpu", "COMPUTE_TYPE": compute_type}))


def test_cuda_without_a_driver_is_refused_in_a_sentence(parakeet_folder: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no NVIDIA driver|too old|DEVICE_INDEX|CUDA"):
        parakeet_model.load(parakeet_folder, load({"DEVICE": "cuda", "DEVICE_INDEX": "63"}))
