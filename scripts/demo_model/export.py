"""From trained weights to a folder that `faster_whisper.WhisperModel` loads as it is."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .acoustics import FFT_SAMPLES, HOP_SAMPLES, MELS, RATE_HZ
from .tokenizer import TIMESTAMPS, WHISPER_LANGUAGES

if TYPE_CHECKING:
    from pathlib import Path

    from tokenizers import Tokenizer
    from torch import Tensor

    from demo_model.network import Shape

Weights = dict[str, npt.NDArray[np.float32]]

PREPROCESSOR = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "processor_class": "WhisperProcessor",
    "feature_size": MELS,
    "sampling_rate": RATE_HZ,
    "hop_length": HOP_SAMPLES,
    "n_fft": FFT_SAMPLES,
    "chunk_length": 30,
    "n_samples": 30 * RATE_HZ,
    "nb_max_frames": 3000,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
}


def export(state: dict[str, Tensor], tokenizer: Tokenizer, shape: Shape, folder: Path) -> None:
    """Write a CTranslate2 Whisper model of 8-bit integers, its tokenizer and its preprocessor's settings.

    Files of other names in the folder stay.

    Args:
        state: `network.Whisper.state_dict()`.
        tokenizer: The one it was trained with.
        shape: Of the network.
        folder: Where to; it is made when it is missing.
    """
    # Each array is copied: CTranslate2 quantises in place what it is given, and would spoil the tensors behind it.
    weights = {name: value.float().numpy().copy() for name, value in state.items()}
    spec = _specification(weights, tokenizer, shape)
    spec.validate()
    spec.optimize(quantization="int8")
    unfinished = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    spec.save(str(unfinished))
    tokenizer.save(str(unfinished / "tokenizer.json"), pretty=False)
    # CTranslate2 escapes every letter outside ASCII and indents; the same list is half as long without.
    vocabulary = unfinished / "vocabulary.json"
    tokens = json.loads(vocabulary.read_text(encoding="utf-8"))
    vocabulary.write_text(json.dumps(tokens, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    preprocessor = json.dumps(PREPROCESSOR, indent=2) + "\n"
    (unfinished / "preprocessor_config.json").write_text(preprocessor, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for file in unfinished.iterdir():
        file.replace(folder / file.name)
    unfinished.rmdir()


def _specification(weights: Weights, tokenizer: Tokenizer, shape: Shape) -> Any:  # noqa: ANN401  CTranslate2's specs are untyped
    from ctranslate2.specs import whisper_spec  # noqa: PLC0415  needed to train only

    spec = whisper_spec.WhisperSpec(
        shape.encoder_layers, shape.encoder_heads, shape.decoder_layers, shape.decoder_heads
    )
    encoder, decoder = spec.encoder, spec.decoder
    for convolution in ("conv1", "conv2"):
        _linear(getattr(encoder, convolution), weights, convolution)
    encoder.position_encodings.encodings = weights["positions"]
    decoder.position_encodings.encodings = weights["decoder_positions"]
    _norm(encoder.layer_norm, weights, "encoder_norm")
    _norm(decoder.layer_norm, weights, "decoder_norm")
    table = weights["embedding"].copy()
    table[-TIMESTAMPS:] += weights["timestamp_waves"] @ weights["timestamp_map.weight"].T
    decoder.embeddings.weight = decoder.projection.weight = table
    decoder.scale_embeddings = False
    for number, layer in enumerate(encoder.layer):
        _layer(layer, weights, f"encoder.{number}", cross=False)
    for number, layer in enumerate(decoder.layer):
        _layer(layer, weights, f"decoder.{number}", cross=True)
    # Unlike OpenAI's models, `<|endoftext|>` may come first: without timestamps, silence could not be empty otherwise.
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokenizer.token_to_id("Ġ")]
    spec.config.lang_ids = [tokenizer.token_to_id(f"<|{language}|>") for language in WHISPER_LANGUAGES]
    spec.config.alignment_heads = shape.alignment_heads
    numbered = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    spec.register_vocabulary([token for token, _ in numbered])
    return spec


def _linear(target: Any, weights: Weights, *names: str) -> None:  # noqa: ANN401  CTranslate2's specs are untyped
    """Set a linear layer from one, or from several side by side; those without biases get zeros."""
    matrices = [weights[f"{name}.weight"] for name in names]
    biases = [
        weights.get(f"{name}.bias", np.zeros(len(matrix), np.float32))
        for name, matrix in zip(names, matrices, strict=True)
    ]
    target.weight = np.concatenate(matrices)
    target.bias = np.concatenate(biases)


def _norm(target: Any, weights: Weights, name: str) -> None:  # noqa: ANN401  CTranslate2's specs are untyped
    target.gamma = weights[f"{name}.weight"]
    target.beta = weights[f"{name}.bias"]


def _layer(target: Any, weights: Weights, name: str, *, cross: bool) -> None:  # noqa: ANN401  CTranslate2's specs are untyped
    own = f"{name}.self_attn"
    _linear(target.self_attention.linear[0], weights, f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj")
    _linear(target.self_attention.linear[1], weights, f"{own}.out_proj")
    _norm(target.self_attention.layer_norm, weights, f"{name}.self_attn_layer_norm")
    if cross:
        other = f"{name}.encoder_attn"
        _linear(target.attention.linear[0], weights, f"{other}.q_proj")
        _linear(target.attention.linear[1], weights, f"{other}.k_proj", f"{other}.v_proj")
        _linear(target.attention.linear[2], weights, f"{other}.out_proj")
        _norm(target.attention.layer_norm, weights, f"{name}.encoder_attn_layer_norm")
    _linear(target.ffn.linear_0, weights, f"{name}.fc1")
    _linear(target.ffn.linear_1, weights, f"{name}.fc2")
    _norm(target.ffn.layer_norm, weights, f"{name}.final_layer_norm")
