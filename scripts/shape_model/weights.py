"""Random weights that say what the chains say.

Every matrix is random and full, so that each product costs what it costs in a trained model; nothing is zero that a
library could leave out. But all layers of the decoder only whisper: their output matrices are so small that what
reaches the end is the last token's own embedding, and the last feed-forward layer, which is a table. Each of its first
hidden units answers to the embedding of one group of tokens and writes the embedding of the group that follows, four
times as loud. Embedding and output share one matrix, as in Whisper, so the next group's tokens win: the preferred one
by a margin of e^8 or more over its stand-ins, which differ in loudness, and those by e^8 or more over all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .chains import Group, Link
from .sizes import AUDIO_POSITIONS, TEXT_POSITIONS, Size

if TYPE_CHECKING:
    from ctranslate2.specs.whisper_spec import WhisperSpec

Array = npt.NDArray[np.floating[Any]]

PEAK_LOGIT = 40.0
"""Of the preferred token: 27 above all random ones together, and exact to 0.03 in float16."""

STAND_IN_LOUDNESS = (0.6, 0.8)
"""Of stand-ins, as a share of the preferred token's: logits of 24 to 32."""

TOKEN_NOISE = 0.05
"""What tells tokens of one group apart, as a share of what they have in common."""

POSITION_NOISE = 0.1
WHISPER = 0.1
"""Standard deviation of what all layers but the table add, together; embeddings have 1."""

SELECTIVITY = 20.0
"""Of the table: a unit gets +10 from its own group and -10 from any other, where GELU is linear and zero."""

NEXT_LOUDNESS = 4.0
"""Of what the table writes, against the embedding of the last token, which is still there."""


class RandomWeights:
    """Draws matrices of one type of number; the same seed draws the same ones."""

    def __init__(self, seed: int, *, half: bool) -> None:
        """Prepare to draw.

        Args:
            seed: Of all that is drawn.
            half: Whether to keep them in 16 bits, which halves the memory that making a model takes.
        """
        # SFC64 is numpy's fastest generator: large-v3 has 1.5 billion numbers to draw.
        self._generator = np.random.Generator(np.random.SFC64(seed))
        self._type = np.float16 if half else np.float32

    def matrix(self, *shape: int, std: float) -> Array:
        """Draw evenly distributed numbers of mean 0."""
        drawn = self._generator.random(shape, dtype=np.float32)
        drawn -= np.float32(0.5)
        drawn *= np.float32(std * 12**0.5)
        return drawn.astype(self._type, copy=False)

    def loudness(self, count: int) -> npt.NDArray[np.float64]:
        """Draw the loudness of stand-ins, loudest first; no two are alike, so that beams do not tie."""
        return np.sort(self._generator.uniform(*STAND_IN_LOUDNESS, count))[::-1]


def specification(size: Size, links: Sequence[Link], weights: RandomWeights) -> WhisperSpec:
    """Fill a model of a size with weights that follow the links.

    Returns:
        A specification without vocabulary and settings, not yet validated.
    """
    from ctranslate2.specs.whisper_spec import WhisperSpec  # noqa: PLC0415  slow to import

    if len(links) > size.hidden:
        raise ValueError(f"{len(links)} links do not fit a table of {size.hidden} units")
    spec = WhisperSpec(size.encoder_layers, size.heads, size.decoder_layers, size.heads)
    _fill_encoder(spec.encoder, size, weights)
    _fill_decoder(spec.decoder, size, weights)
    directions = _embed(spec.decoder, size, links, weights)
    _write_table(spec.decoder.layer[-1].ffn, size, links, directions)
    return spec


# CTranslate2's specifications are untyped, hence `Any` below.


def _fill_encoder(encoder: Any, size: Size, weights: RandomWeights) -> None:  # noqa: ANN401  see above
    for convolution, channels in ((encoder.conv1, size.mels), (encoder.conv2, size.width)):
        convolution.weight = weights.matrix(size.width, channels, 3, std=(3 * channels) ** -0.5)
        convolution.bias = weights.matrix(size.width, std=0.1)
    encoder.position_encodings.encodings = _sinusoids(AUDIO_POSITIONS, size.width)
    _fill_norm(encoder.layer_norm, size, weights)
    loudness = (2 * size.encoder_layers) ** -0.5
    for layer in encoder.layer:
        _fill_layer(layer, size, weights, loudness, cross=False)


def _fill_decoder(decoder: Any, size: Size, weights: RandomWeights) -> None:  # noqa: ANN401  see above
    decoder.position_encodings.encodings = weights.matrix(TEXT_POSITIONS, size.width, std=POSITION_NOISE)
    _fill_norm(decoder.layer_norm, size, weights)
    decoder.layer_norm.gamma *= PEAK_LOGIT / size.width
    loudness = WHISPER * (3 * size.decoder_layers) ** -0.5
    for layer in decoder.layer:
        _fill_layer(layer, size, weights, loudness, cross=True)


def _fill_layer(layer: Any, size: Size, weights: RandomWeights, loudness: float, *, cross: bool) -> None:  # noqa: ANN401
    width = size.width
    _fill_norm(layer.self_attention.layer_norm, size, weights)
    _fill_linear(layer.self_attention.linear[0], 3 * width, width, weights)
    _fill_linear(layer.self_attention.linear[1], width, width, weights, loudness)
    if cross:
        _fill_norm(layer.attention.layer_norm, size, weights)
        _fill_linear(layer.attention.linear[0], width, width, weights)
        _fill_linear(layer.attention.linear[1], 2 * width, width, weights)
        _fill_linear(layer.attention.linear[2], width, width, weights, loudness)
    _fill_norm(layer.ffn.layer_norm, size, weights)
    _fill_linear(layer.ffn.linear_0, size.hidden, width, weights)
    _fill_linear(layer.ffn.linear_1, width, size.hidden, weights, loudness)


def _fill_linear(target: Any, rows: int, columns: int, weights: RandomWeights, loudness: float = 1.0) -> None:  # noqa: ANN401
    target.weight = weights.matrix(rows, columns, std=loudness * columns**-0.5)
    target.bias = weights.matrix(rows, std=loudness * 0.1)


def _fill_norm(target: Any, size: Size, weights: RandomWeights) -> None:  # noqa: ANN401  see above
    target.gamma = 1 + weights.matrix(size.width, std=0.02)
    target.beta = weights.matrix(size.width, std=0.02)


def _embed(decoder: Any, size: Size, links: Sequence[Link], weights: RandomWeights) -> dict[Group, Array]:  # noqa: ANN401
    """Set the embeddings, which are the output's matrix too; return the direction of each group."""
    table = weights.matrix(size.vocabulary, size.width, std=1)
    directions: dict[Group, Array] = {}
    for group in dict.fromkeys(group for link in links for group in link):
        preferred, *stand_ins = group.members
        directions[group] = table[preferred].copy()
        table[stand_ins] *= TOKEN_NOISE
        table[stand_ins] += weights.loudness(len(stand_ins))[:, np.newaxis] * directions[group]
    decoder.embeddings.weight = decoder.projection.weight = table
    return directions


def _write_table(ffn: Any, size: Size, links: Sequence[Link], directions: dict[Group, Array]) -> None:  # noqa: ANN401
    for unit, (last, following) in enumerate(links):
        ffn.linear_0.weight[unit] = directions[last] * (SELECTIVITY / size.width)
        ffn.linear_0.bias[unit] = -SELECTIVITY / 2
        ffn.linear_1.weight[:, unit] = directions[following] * (NEXT_LOUDNESS * 2 / SELECTIVITY)


def _sinusoids(length: int, channels: int) -> npt.NDArray[np.float32]:
    """Return Whisper's encoding of the encoder's positions, shape (length, channels)."""
    scales = np.exp(-np.log(10_000) / (channels // 2 - 1) * np.arange(channels // 2))
    angles = np.arange(length)[:, np.newaxis] * scales
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
