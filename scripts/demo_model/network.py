"""Whisper's network, small: the same layers in the same order, so that CTranslate2 runs the weights as Whisper's.

Beside it, helpers that exist only while it learns: letters read from the encoder (CTC), and one attention head of the
later decoder layers that is shown where each token is heard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from .acoustics import MELS
from .tokenizer import SPECIAL_TOKENS, TIMESTAMPS, WHISPER_LANGUAGES
from .windows import CTC_LABELS, FULL_WINDOW_FRAMES, IGNORED

if TYPE_CHECKING:
    from demo_model.windows import Batch

DECODER_POSITIONS = 448
FUSED_ATTENTION_FROM = 1000
"""Frames from which torch's fused attention beats plain multiplication in bfloat16: at 1500 frames, 4 windows and 2
heads of 96, forward and back, 92 against 161 ms on one core; at 600 frames 49 against 38 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of the network. Heads are multiples of 32 wide, the tile of the processors' bfloat16 units."""

    width: int = 192
    encoder_layers: int = 3
    encoder_heads: int = 2
    decoder_layers: int = 3
    decoder_heads: int = 3

    @property
    def alignment_heads(self) -> list[list[int]]:
        """(layer, head) pairs that were shown where tokens are heard: head 0 of every decoder layer but the first."""
        return [[layer, 0] for layer in range(1, self.decoder_layers)]


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """What a step's loss is made of, beside the cross-entropy of the next token."""

    letters: float
    attention: float
    language: float = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How well one batch was answered: losses, and shares of tokens that were right."""

    tokens: float
    letters: float
    attention: float
    text_right: float
    time_right: float
    language_right: float


class Attention(nn.Module):  # type: ignore[misc, unused-ignore]  # where torch is not installed
    """Multi-head attention with Whisper's biases: none on the keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.first_head_scores: Tensor | None = None

    def forward(self, x: Tensor, memory: Tensor | None = None, *, causal: bool = False) -> Tensor:
        """Attend from `x` to itself or to `memory`, both of shape (rows, places, width)."""
        source = x if memory is None else memory
        queries, keys, values = (
            y.view(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)
            for y in (self.q_proj(x), self.k_proj(source), self.v_proj(source))
        )
        if memory is None and x.shape[1] >= FUSED_ATTENTION_FROM:
            attended = functional.scaled_dot_product_attention(queries, keys, values)
        else:
            scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
            if causal:
                later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
                scores = scores.masked_fill(later, -math.inf)
            attended = scores.softmax(-1, dtype=queries.dtype) @ values
            self.first_head_scores = None if memory is None else scores[:, 0]
        return self.out_proj(attended.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return, unused-ignore]  # modules are untyped


class Layer(nn.Module):  # type: ignore[misc, unused-ignore]  # where torch is not installed
    """One encoder layer, or with `cross` one decoder layer."""

    def __init__(self, width: int, heads: int, *, cross: bool) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        if cross:
            self.encoder_attn = Attention(width, heads)
            self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Transform (rows, places, width); several rows may share one row of `memory`, being neighbours."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), causal=memory is not None)
        if memory is not None:
            asked = self.encoder_attn_layer_norm(x).view(memory.shape[0], -1, memory.shape[2])
            x = x + self.encoder_attn(asked, memory).view(x.shape)
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))  # type: ignore[no-any-return, unused-ignore]  # modules are untyped


def sinusoids(length: int, width: int) -> Tensor:
    """Give Whisper's position embeddings, shape (length, width)."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class Whisper(nn.Module):  # type: ignore[misc, unused-ignore]  # where torch is not installed
    """The network and its loss."""

    def __init__(self, vocabulary: int, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.vocabulary = vocabulary
        self.conv1 = nn.Conv1d(MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.encoder = nn.ModuleList(
            Layer(width, shape.encoder_heads, cross=False) for _ in range(shape.encoder_layers)
        )
        self.decoder = nn.ModuleList(Layer(width, shape.decoder_heads, cross=True) for _ in range(shape.decoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder_norm = nn.LayerNorm(width)
        self.letters = nn.Linear(width, CTC_LABELS)
        self.positions: Tensor
        self.register_buffer("positions", sinusoids(FULL_WINDOW_FRAMES, width))
        self.decoder_positions = nn.Parameter(torch.randn(DECODER_POSITIONS, width) * 0.02)
        self.embedding = nn.Parameter(torch.randn(vocabulary, width) * 0.03)
        # A timestamp's row is a smooth part, learned for all at once, and a part of its own: rare ones are learned too.
        self.timestamp_waves: Tensor
        self.register_buffer("timestamp_waves", sinusoids(TIMESTAMPS, width))
        self.timestamp_map = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.timestamp_map.weight, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def table(self) -> Tensor:
        """Give the token embeddings, which are the output projection as well, shape (vocabulary, width)."""
        smooth = self.timestamp_map(self.timestamp_waves)
        return self.embedding + functional.pad(smooth, (0, 0, self.vocabulary - TIMESTAMPS, 0))

    def encode(self, mel: Tensor, offsets: list[int]) -> Tensor:
        """Turn features (windows, mels, frames) into memory (windows, frames / 2, width)."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        x = (x + torch.stack([self.positions[offset : offset + x.shape[1]] for offset in offsets])).to(x.dtype)
        for layer in self.encoder:
            x = layer(x)
        return self.encoder_norm(x)  # type: ignore[no-any-return, unused-ignore]  # modules are untyped

    def loss(self, batch: Batch, weights: LossWeights) -> tuple[Tensor, Progress]:
        """Judge the network on a batch.

        Returns:
            The loss to be lowered, a scalar, and figures to watch.
        """
        memory = self.encode(batch.mel, batch.offsets)
        table = self.table()
        x = functional.embedding(batch.inputs, table) + self.decoder_positions[: batch.inputs.shape[1]]
        x = x.to(memory.dtype)
        for layer in self.decoder:
            x = layer(x, memory)
        asked = (batch.targets != IGNORED).reshape(-1).nonzero()[:, 0]
        targets = batch.targets.reshape(-1)[asked]
        chosen = self.decoder_norm(x).reshape(-1, x.shape[2])[asked]
        logits = functional.linear(chosen, table.to(chosen.dtype)).float()
        tokens = functional.cross_entropy(logits, targets)
        first_special = self.vocabulary - len(SPECIAL_TOKENS)
        language = (targets > first_special + 1) & (targets < first_special + 2 + len(WHISPER_LANGUAGES))
        language |= targets == self.vocabulary - TIMESTAMPS - 2  # <|nospeech|>
        decisions = functional.cross_entropy(logits[language], targets[language])
        letters = self._letters_loss(memory, batch.labels) if weights.letters else torch.zeros(())
        attention = self._attention_loss(batch.spans, memory.shape)
        total = tokens + weights.letters * letters + weights.attention * attention + weights.language * decisions
        with torch.no_grad():
            answers = logits.argmax(1)
            is_time = targets >= self.vocabulary - TIMESTAMPS
            right = torch.where(is_time, (answers - targets).abs() <= 2, answers == targets).float()  # 0.04 s
            progress = Progress(
                tokens=tokens.item(),
                letters=letters.item(),
                attention=attention.item(),
                text_right=right[~is_time].mean().item(),
                time_right=right[is_time].mean().item(),
                language_right=right[language].mean().item(),
            )
        return total, progress

    def _letters_loss(self, memory: Tensor, labels: list[list[int]]) -> Tensor:
        """CTC of the letters, for each letter; `mean` reduction would divide by zero where nothing is said."""
        scores = self.letters(memory).float().log_softmax(-1).transpose(0, 1)
        lengths = torch.tensor([len(label) for label in labels])
        frames = torch.full((len(labels),), scores.shape[0])
        flat = torch.tensor([number for label in labels for number in label])
        total = functional.ctc_loss(scores, flat, frames, lengths, reduction="sum", zero_infinity=True)
        return total / max(1, int(lengths.sum()))

    def _attention_loss(self, spans: Tensor, memory_shape: torch.Size) -> Tensor:
        """Divergence of the guided heads from looking evenly over the frames where each token is heard."""
        spans = spans.view(memory_shape[0], -1, 2)
        guided = (spans[..., 0] >= 0) & (spans[..., 0] < memory_shape[1])
        if not guided.any():
            return torch.zeros(())
        start, stop = spans[guided].clamp(max=memory_shape[1]).unbind(1)
        length = (stop - start).clamp(min=1)
        loss = torch.zeros(())
        for layer in list(self.decoder)[1:]:
            scores = layer.encoder_attn.first_head_scores[guided].float()  # type: ignore[union-attr, index, unused-ignore]  # modules are untyped
            sums = functional.pad(scores.cumsum(1), (1, 0))
            inside = (sums.gather(1, stop[:, None]) - sums.gather(1, start[:, None]))[:, 0] / length
            loss = loss + (scores.logsumexp(1) - inside - length.log()).mean()
        return loss / (len(self.decoder) - 1)
