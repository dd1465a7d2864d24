"""The sizes of OpenAI's Whisper models.

Source: `dims` of the checkpoints of openai/whisper, and `alignment_heads` of their `generation_config.json`.
"""

from __future__ import annotations

from dataclasses import dataclass

AUDIO_POSITIONS = 1500
"""What the encoder makes of 30 s."""

TEXT_POSITIONS = 448
HEAD_WIDTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Dimensions of one model.

    Attributes:
        alignment_heads: (layer, head) pairs of the decoder whose attention tells where words are heard.
        has_cantonese: Whether it is of the third generation, which knows 100 languages instead of 99.
    """

    width: int
    encoder_layers: int
    decoder_layers: int
    alignment_heads: tuple[tuple[int, int], ...]
    mels: int = 80
    has_cantonese: bool = False

    @property
    def heads(self) -> int:
        """Attention heads of each layer."""
        return self.width // HEAD_WIDTH

    @property
    def hidden(self) -> int:
        """Units of each feed-forward layer."""
        return 4 * self.width

    @property
    def vocabulary(self) -> int:
        """Tokens, special ones counted in."""
        return 51_866 if self.has_cantonese else 51_865

    @property
    def parameters(self) -> int:
        """Numbers that OpenAI's model of this size holds; its key projections have no biases."""
        width = self.width
        attention = 4 * width * width + 3 * width
        feed_forward = 2 * width * self.hidden + self.hidden + width
        norm = 2 * width
        encoder_layer = attention + feed_forward + 2 * norm
        decoder_layer = 2 * attention + feed_forward + 3 * norm
        convolutions = 3 * width * (self.mels + width) + 2 * width
        tables = (AUDIO_POSITIONS + TEXT_POSITIONS + self.vocabulary) * width
        layers = self.encoder_layers * encoder_layer + self.decoder_layers * decoder_layer
        return layers + convolutions + tables + 2 * norm


SIZES = {
    "tiny": Size(
        width=384,
        encoder_layers=4,
        decoder_layers=4,
        alignment_heads=((2, 2), (3, 0), (3, 2), (3, 3), (3, 4), (3, 5)),
    ),
    "base": Size(
        width=512,
        encoder_layers=6,
        decoder_layers=6,
        alignment_heads=((3, 1), (4, 2), (4, 3), (4, 7), (5, 1), (5, 2), (5, 4), (5, 6)),
    ),
    "small": Size(
        width=768,
        encoder_layers=12,
        decoder_layers=12,
        alignment_heads=(
            *((5, 3), (5, 9), (8, 0), (8, 4), (8, 7), (8, 8)),
            *((9, 0), (9, 7), (9, 9), (10, 5)),
        ),
    ),
    "turbo": Size(
        width=1280,
        encoder_layers=32,
        decoder_layers=4,
        alignment_heads=((2, 4), (2, 11), (3, 3), (3, 6), (3, 11), (3, 14)),
        mels=128,
        has_cantonese=True,
    ),
    "large-v3": Size(
        width=1280,
        encoder_layers=32,
        decoder_layers=32,
        alignment_heads=(
            *((7, 0), (10, 17), (12, 18), (13, 12), (16, 1)),
            *((17, 14), (19, 11), (21, 4), (24, 1), (25, 6)),
        ),
        mels=128,
        has_cantonese=True,
    ),
}
