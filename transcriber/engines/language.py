"""The language of a window, told from the encoder's output without CTranslate2's keys and values.

`detect_language` runs the decoder for one token, `<|startoftranscript|>`. Before that it makes keys and values of all
1,500 frames in each layer, and `generate` makes them once more. One query does not need them: its scores over frames e
are

    q · (W_k e + b_k) = (W_kᵀ q) · e + a constant, which softmax leaves out,

and what it takes from them by shares s is W_v (Σ s e) + b_v. So each layer goes over the frames twice, and a matrix
meets nothing but a vector. docs/decisions/0016 has what that gains.

Source: ctranslate2/specs/transformer_spec.py 4.8.5 for what the variables are, openai/whisper's model.py for what is
done with them.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np

from transcriber.engines.model_file import EVERY, Rows, Shape, Table, Values, values_of
from transcriber.engines.suppression import BIAS
from transcriber.engines.weights import MODEL_FILE
from transcriber.engines.whisper_work import Encoded

log = logging.getLogger(__name__)

CONFIG_FILE = "config.json"
START = "<|startoftranscript|>"

MATRICES_OF_A_LAYER = 13
"""Of width times width: one of the self-attention, four of the attention to the frames, eight of the feed-forward
block."""

COPY_BYTES = 100 * 1024 * 1024
"""What the copy of the decoder's weights may take, in 32 bits. tiny's has 29 MiB, base's 78; small's would have 351."""

FLOAT_BYTES = 4

EMBEDDINGS = "decoder/embeddings"
POSITIONS = "decoder/position_encodings/encodings"

KNOWN_DECODER: Mapping[str, int] = {
    "decoder/activation": 3,  # GELU
    "decoder/pre_norm": 1,
    "decoder/alibi": 0,
    "decoder/scale_embeddings": 0,
    "decoder/start_from_zero_embedding": 0,
}
"""How the decoder of a Whisper is built, as its file says; of one that is built otherwise nothing is told here."""

NORM_EPSILON = np.float32(1e-5)
"""openai/whisper takes torch's own."""

ERF_SCALE = np.float32(0.3275911)
ERF_TERMS = tuple(np.float32(term) for term in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
"""Abramowitz and Stegun, 7.1.26: good to 2e-7."""


class LanguageDetector:
    """Tells the language as `ctranslate2.models.Whisper.detect_language` does; threads may share it.

    Where CTranslate2 computes in 32 bits the probabilities are the same to a millionth. Where it rounds to 8 bits they
    are those that it would come to without.
    """

    def __init__(self, decoder: _Decoder, codes: Sequence[str]) -> None:
        """Store the decoder's first step, and the languages among which it chooses."""
        self._decoder = decoder
        self.codes = tuple(codes)

    def __call__(self, encoded: Encoded) -> tuple[str, float]:
        """Return the most probable language's code, and its probability.

        Args:
            encoded: The encoder's output of one window, shape (1, frames, width), in 32 bits.
        """
        probabilities = self.probabilities(encoded)
        best = int(np.argmax(probabilities))
        return self.codes[best], float(probabilities[best])

    def probabilities(self, encoded: Encoded) -> Values:
        """Return the probability of each language, in the order of `codes`."""
        return _softmax(self._decoder(encoded[0]))


def detector_of(
    model: ctranslate2.models.Whisper, folder: Path, *, table: Table, shape: Shape, vocabulary: Sequence[str]
) -> LanguageDetector | None:
    """Return a detector for a model on a CPU; None where CTranslate2 has to tell the language.

    That is so of models for one language, of large ones, and of any whose decoder is not the one that is known here.

    Args:
        model: Loaded from the folder.
        folder: With its config.json and model.bin.
        table: Of model.bin.
        shape: Of the model.
        vocabulary: The model's tokens; their places are their ids.
    """
    copy_bytes = FLOAT_BYTES * MATRICES_OF_A_LAYER * shape.decoder_layers * shape.width**2
    if not model.is_multilingual or copy_bytes > COPY_BYTES:
        return None
    try:
        weights = _Weights(folder / MODEL_FILE, table)
        if any(weights.number(name) != value for name, value in KNOWN_DECODER.items()):
            raise ValueError("the decoder is built otherwise")  # noqa: TRY301 - one way out, and one line in the log
        languages = [int(token) for token in json.loads((folder / CONFIG_FILE).read_text("utf-8"))["lang_ids"]]
        decoder = _Decoder(weights, shape, start=vocabulary.index(START), choices=languages)
        return LanguageDetector(decoder, [vocabulary[token][2:-2] for token in languages])
    except (OSError, KeyError, IndexError, ValueError) as error:
        log.info("language told by ctranslate2", extra={"reason": repr(error)})
        return None


@dataclass(frozen=True, slots=True)
class _Norm:
    gamma: Values
    beta: Values

    def __call__(self, vector: Values) -> Values:
        centred = vector - vector.sum() / np.float32(len(vector))
        variance = centred @ centred / np.float32(len(centred))
        normed: Values = centred * (self.gamma / np.sqrt(variance + NORM_EPSILON)) + self.beta
        return normed


@dataclass(frozen=True, slots=True)
class _Linear:
    """A matrix of shape (out, in), and a bias."""

    weight: Values
    bias: Values

    def __call__(self, vector: Values) -> Values:
        product: Values = self.weight @ vector + self.bias
        return product

    def rows(self, begin: int, end: int) -> _Linear:
        return _Linear(self.weight[begin:end].copy(), self.bias[begin:end].copy())

    def after(self, first: _Linear) -> _Linear:
        """Return what does as `first` and then this."""
        return _Linear(self.weight @ first.weight, self(first.bias))


class _Weights:
    """The variables of a model.bin, in 32 bits."""

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self._table = table

    def number(self, name: str) -> int:
        return int.from_bytes(self._table[name].value, "little")

    def values(self, name: str, rows: Rows = EVERY) -> Values:
        return values_of(self._path, self._table[name], rows)

    def matrix(self, name: str, rows: Rows = EVERY) -> Values:
        weight = self.values(f"{name}/weight", rows)
        scale = f"{name}/weight_scale"
        return weight / self.values(scale, rows)[:, np.newaxis] if scale in self._table else weight

    def linear(self, name: str) -> _Linear:
        return _Linear(self.matrix(name), self.values(f"{name}/bias"))

    def norm(self, name: str) -> _Norm:
        return _Norm(self.values(f"{name}/gamma"), self.values(f"{name}/beta"))

    def choice(self, tokens: Sequence[int]) -> _Linear:
        """Return the last product, for a few tokens. Its matrix is mostly that of the embeddings, under one name."""
        own = "decoder/projection" if "decoder/projection/weight" in self._table else EMBEDDINGS
        bias = self.values(BIAS, tokens) if BIAS in self._table else np.zeros(len(tokens), np.float32)
        return _Linear(self.matrix(own, tokens), bias)


class _Layer:
    """One layer of the decoder, for one token that is the first and sees none but itself."""

    def __init__(self, weights: _Weights, name: str, *, heads: int, width: int) -> None:
        self._self_norm = weights.norm(f"{name}/self_attention/layer_norm")
        values = weights.linear(f"{name}/self_attention/linear_0").rows(2 * width, 3 * width)
        self._itself = weights.linear(f"{name}/self_attention/linear_1").after(values)  # its share of itself is 1
        self._norm = weights.norm(f"{name}/attention/layer_norm")
        self._query = weights.linear(f"{name}/attention/linear_0")
        keys_and_values = weights.linear(f"{name}/attention/linear_1")
        self._keys = keys_and_values.rows(0, width).weight.reshape(heads, -1, width)
        self._keys *= np.float32(1 / math.sqrt(width // heads))
        values = keys_and_values.rows(width, 2 * width)
        self._values = values.weight.reshape(heads, -1, width)
        self._values_bias = values.bias
        self._output = weights.linear(f"{name}/attention/linear_2")
        self._inner_norm = weights.norm(f"{name}/ffn/layer_norm")
        self._inner = weights.linear(f"{name}/ffn/linear_0")
        self._outer = weights.linear(f"{name}/ffn/linear_1")

    def ask(self, hidden: Values) -> tuple[Values, Values]:
        """Return the token's hidden state before it looks at the frames, and what each head asks of them.

        Args:
            hidden: Shape (width,).

        Returns:
            Shapes (width,) and (heads, width).
        """
        hidden = hidden + self._itself(self._self_norm(hidden))
        queries = self._query(self._norm(hidden)).reshape(len(self._keys), 1, -1)
        return hidden, np.matmul(queries, self._keys)[:, 0]

    def take(self, hidden: Values, asked: Values, frames: Values) -> Values:
        """Return the token's hidden state behind the layer; `frames` has shape (frames, width)."""
        # A vector at a time: BLAS would copy all frames before it multiplies them by a few.
        scores = np.stack([frames @ of_head for of_head in asked])
        taken = np.stack([shares @ frames for shares in _softmax(scores)])
        seen = np.matmul(self._values, taken[:, :, np.newaxis]).reshape(-1) + self._values_bias
        hidden = hidden + self._output(seen)
        return hidden + self._outer(_gelu(self._inner(self._inner_norm(hidden))))


class _Decoder:
    """The decoder's first step, from the frames to the scores of a few tokens."""

    def __init__(self, weights: _Weights, shape: Shape, *, start: int, choices: Sequence[int]) -> None:
        heads = weights.number("decoder/num_heads")
        names = [f"decoder/layer_{i}" for i in range(shape.decoder_layers)]
        self._layers = [_Layer(weights, name, heads=heads, width=shape.width) for name in names]
        embedding = weights.matrix(EMBEDDINGS, [start]) + weights.values(POSITIONS, [0])
        self._hidden, self._asked = self._layers[0].ask(embedding[0])  # whatever the frames are
        self._norm = weights.norm("decoder/layer_norm")
        self._choice = weights.choice(choices)

    def __call__(self, frames: Values) -> Values:
        hidden = self._layers[0].take(self._hidden, self._asked, frames)
        for layer in self._layers[1:]:
            hidden, asked = layer.ask(hidden)
            hidden = layer.take(hidden, asked, frames)
        return self._choice(self._norm(hidden))


def _softmax(scores: Values) -> Values:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Values = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _gelu(vector: Values) -> Values:
    """Return x Φ(x)."""
    x = np.abs(vector) * np.float32(math.sqrt(0.5))
    t: Values = np.reciprocal(1 + ERF_SCALE * x)
    beyond: Values = np.zeros_like(x)
    for term in ERF_TERMS:
        beyond = (beyond + term) * t
    beyond = beyond * np.exp(-x * x) * np.float32(0.5)  # 1 - Φ(|x|)
    result: Values = vector * np.where(vector < 0, beyond, 1 - beyond)
    return result
