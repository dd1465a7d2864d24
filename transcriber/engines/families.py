"""The families of models that this container can serve; they are told apart by the files in a model's folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcriber.errors import ModelUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that one engine serves.

    Attributes:
        name: As callers and operators know it.
        description: What its files are; completes "this container serves ...".
        marks: Patterns of file names; a folder that has a file of each holds such a model.
        files: Patterns of all files that the engine may read; anything else in a repository is not downloaded.
        engine: The module whose `load(folder, settings)` loads it; nobody else imports it.
        image: What build_image.sh calls the image that has its libraries.
    """

    name: str
    description: str
    marks: tuple[str, ...]
    files: tuple[str, ...]
    engine: str
    image: str

    def is_in(self, folder: Path) -> bool:
        """Say whether a folder holds such a model."""
        return all(any(path.is_file() for path in folder.glob(mark)) for mark in self.marks)


WHISPER = Family(
    name="Whisper",
    description="a Whisper in CTranslate2's format (model.bin)",
    marks=("model.bin",),
    files=("model.bin", "config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*"),
    engine="transcriber.engines.whisper_model",
    image="whisper",
)

PARAKEET = Family(
    name="Parakeet",
    description="a Parakeet TDT in ONNX (encoder-model.onnx, decoder_joint-model.onnx, vocab.txt)",
    marks=("encoder-model*.onnx", "decoder_joint-model*.onnx", "vocab.txt"),
    files=("encoder-model*.onnx", "encoder-model*.onnx.data", "decoder_joint-model*.onnx", "vocab.txt", "config.json"),
    engine="transcriber.engines.parakeet_model",
    image="parakeet",
)

VOXTRAL = Family(
    name="Voxtral",
    description="a Voxtral Mini in transformers' format (config.json, model*.safetensors, tekken.json)",
    marks=("config.json", "model*.safetensors", "tekken.json"),
    files=(
        "config.json",
        "generation_config.json",
        "model*.safetensors",
        "model.safetensors.index.json",
        "preprocessor_config.json",
        "tekken.json",
    ),
    engine="transcriber.engines.voxtral_model",
    image="voxtral",
)

FAMILIES = (WHISPER, PARAKEET, VOXTRAL)

SERVED = " or ".join(family.description for family in FAMILIES)
"""For messages: what a folder may hold."""


INT8 = "int8"


def unwanted(compute_type: str) -> list[str]:
    """Return patterns of what is in a repository in several precisions, for the precisions that are not asked for."""
    return ["encoder-model.onnx", "encoder-model.onnx.data"] if compute_type == INT8 else ["*-model?int8.onnx"]


def family_in(folder: Path) -> Family | None:
    """Tell which family a folder holds a model of; None when of none."""
    return next((family for family in FAMILIES if family.is_in(folder)), None)


def family_of(folder: Path) -> Family:
    """Tell which family a model is of.

    Raises:
        ModelUnavailable: It is of none.
    """
    return family_in(folder) or _unknown()


def _unknown() -> Family:
    raise ModelUnavailable(f"the model is of no family that is known here; this container serves {SERVED}")
