"""Which engine a folder is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transcriber.engines import catalogue, families
from transcriber.engines.families import FAMILIES, family_in, family_of, unwanted
from transcriber.errors import ModelUnavailable
from transcriber.observability.timeline import Timeline
from transcriber.settings import load


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("model.bin",), "Whisper"),
        (("encoder-model.onnx", "decoder_joint-model.onnx", "vocab.txt"), "Parakeet"),
        (("encoder-model.int8.onnx", "decoder_joint-model-int8.onnx", "vocab.txt"), "Parakeet"),
        (("encoder-model.onnx", "vocab.txt"), None),
        (("model-00001-of-00002.safetensors", "config.json", "tekken.json"), "Voxtral"),
        (("consolidated.safetensors", "config.json", "tekken.json"), None),
        (("model.safetensors", "config.json"), None),
        ((), None),
    ],
)
def test_the_files_tell_the_family(tmp_path: Path, names: tuple[str, ...], expected: str | None) -> None:
    family = family_in(touched(tmp_path, *names))

    assert (family.name if family else None) == expected


def test_a_family_that_is_not_known_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable) as refusal:
        family_of(touched(tmp_path, "model.safetensors"))

    for family in FAMILIES:
        assert family.description in refusal.value.message


def test_every_family_downloads_what_it_is_told_by() -> None:
    for family in FAMILIES:
        assert set(family.marks) <= set(family.files)
        assert (ROOT / f"{family.engine.replace('.', '/')}.py").is_file()


def test_one_precision_of_a_model_is_downloaded(tmp_path: Path) -> None:
    names = ["encoder-model.onnx", "encoder-model.onnx.data", "encoder-model.int8.onnx", "decoder_joint-model.onnx"]

    def left(compute_type: str) -> list[str]:
        return [name for name in names if not any(Path(name).match(pattern) for pattern in unwanted(compute_type))]

    assert left("default") == ["encoder-model.onnx", "encoder-model.onnx.data", "decoder_joint-model.onnx"]
    assert left("int8") == ["encoder-model.int8.onnx", "decoder_joint-model.onnx"]


def test_only_the_engine_that_is_chosen_is_imported(parakeet_folder: Path) -> None:
    program = f"""
import sys
from inference import ModelService
from transcriber.engines import catalogue
from transcriber.observability.timeline import Timeline
from transcriber.settings import load
engine = catalogue.load(load({{"MODEL_ID": {str(parakeet_folder)!r}, "DEVICE": "cpu"}}), timeline=Timeline())
print(engine.capabilities.name, {{"ctranslate2", "faster_whisper", "tokenizers", "onnx_asr"}} & sys.modules.keys())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout == "Parakeet set()\n"


def test_whisper_asks_for_nothing_of_the_others(demo_model: Path) -> None:
    """Not even in vain: where PyTorch is installed, asking for it would cost seconds and hundreds of megabytes."""
    program = f"""
import sys
asked = set()
class Listener:
    @staticmethod
    def find_spec(name, path=None, target=None):
        asked.add(name.split(".")[0])
sys.meta_path.insert(0, Listener)
import app, inference
from transcriber.engines import catalogue
from transcriber.observability.timeline import Timeline
from transcriber.settings import load
engine = catalogue.load(load({{"MODEL_ID": {str(demo_model)!r}, "DEVICE": "cpu"}}), timeline=Timeline())
others = {{"torch", "transformers", "mistral_common", "onnx_asr"}}
print(engine.capabilities.name, "ctranslate2" in asked, asked & others)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout == "Whisper True set()\n"


def test_voxtral_asks_for_nothing_of_whisper(voxtral_folder: Path) -> None:
    program = f"""
import sys
from transcriber.engines import catalogue
from transcriber.observability.timeline import Timeline
from transcriber.settings import load
engine = catalogue.load(load({{"MODEL_ID": {str(voxtral_folder)!r}, "DEVICE": "cpu"}}), timeline=Timeline())
print(engine.capabilities.name, {{"ctranslate2", "faster_whisper", "onnx_asr"}} & sys.modules.keys())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=100
    )

    assert ended.stdout == "Voxtral set()\n"


def test_libraries_that_are_not_in_the_image_are_named(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = families.Family(
        name="Owl", description="an Owl", marks=("model.bin",), files=(), engine="owl_hoots", image="owl"
    )
    monkeypatch.setattr(families, "FAMILIES", (absent,))

    with pytest.raises(ModelUnavailable, match=r"is a Owl, whose libraries .*owl_hoots.* --family owl"):
        catalogue.load(load({"MODEL_ID": str(demo_model)}), timeline=Timeline())
