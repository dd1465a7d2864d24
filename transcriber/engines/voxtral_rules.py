"""What the Voxtral engine decides without its model: what it can do, how much it may write, where a text stands."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines.base import Capabilities
from transcriber.errors import DeviceFault
from transcriber.options import Task
from transcriber.transcript import Hypothesis, Segment

NAME = "Voxtral"

LONGEST_WINDOW_S = 30.0
"""The model itself takes half an hour. Its encoder works on pieces of 30 s, each of which costs 375 tokens of sound
however full it is, so a longer window saves nothing; but its text has no times within the window, and a batch takes as
many steps as its longest text has tokens."""

LANGUAGES = frozenset(("de", "en", "es", "fr", "hi", "it", "nl", "pt"))
"""Source: the card of mistralai/Voxtral-Mini-3B-2507."""

TOKENS_PER_SECOND = 15
"""Twice what anybody speaks: the fastest talkers come to 25 characters a second, and Hindi, of the eight languages the
one with the most tokens, has 3.6 characters in each (Tekken as mistral-common brings it). A text that repeats itself is
written until it is stopped, and its batch waits for it."""

TOKENS_ASIDE = 32
"""For what is short and dense, such as a number read out."""

SILENCE = 2.0**-11
"""Loudest sample of a window that is not worth reading: -66 dB of full scale. The model cannot tell that nobody speaks;
asked to write down silence, it makes something up."""

SEARCH_S = 5.0
"""How much of a window's end may be left to the next one, in search of a pause."""

PAUSE_S = 0.2
"""Over how much loudness is averaged; pauses within a word, before its p, t or k, are shorter."""

TAIL_S = 0.2
"""A cut stands at least so far before the end: a shorter rest would go unread (`stitching.MIN_TAIL_S`)."""

FRAME_SAMPLES = RATE_HZ // 100

PROMPT_TOKENS = 384
"""A window's 375 tokens of sound, those that stand around them, and the language."""

MARGIN = 1.3
"""What an allocator loses between blocks, which grow with every token here."""

RESERVE_BYTES = 10**9
"""Left to cuBLAS, cuDNN and the driver."""

MOST_WINDOWS = 48
"""As for Whisper: above this a batch gains little, and everyone in it waits for its longest text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """What the model is shown of a window.

    Attributes:
        tokens: Placeholders for sound, 375 for each piece of 30 s; then the language, if it is known, and what to do.
        features: What the placeholders stand for, shape (pieces, mels, 3000). A window is one piece.
    """

    tokens: tuple[int, ...]
    features: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a model's size decides how much memory a window takes.

    Attributes:
        layers: Of the language model.
        key_heads: Heads of the keys and values of each layer.
        head_width: Values in each.
        vocabulary: Tokens.
        encoder_heads: Heads of each layer of the encoder.
        encoder_width: Values in the encoder's output for each frame.
        float_bytes: Bytes of a value.
    """

    layers: int
    key_heads: int
    head_width: int
    vocabulary: int
    encoder_heads: int
    encoder_width: int
    float_bytes: int


def capabilities(*, largest_batch: int, replicas: int) -> Capabilities:
    """Say what the engine can do."""
    return Capabilities(
        name=NAME,
        longest_window_s=LONGEST_WINDOW_S,
        largest_batch=largest_batch,
        replicas=replicas,
        word_timestamps=False,
        languages=LANGUAGES,
        detects_language=True,
        tasks=frozenset({Task.TRANSCRIBE}),
        waits_for_language=False,
        heeds=frozenset({"temperature"}),
    )


def most_tokens(length_s: float) -> int:
    """Return how many tokens may be written for so much sound."""
    return TOKENS_ASIDE + math.ceil(TOKENS_PER_SECOND * length_s)


def is_silence(samples: Samples) -> bool:
    """Tell whether there is nothing to be heard; sound that is no number is none."""
    return not (np.isfinite(samples).all() and np.abs(samples).max(initial=0.0) >= SILENCE)


def readable(samples: Samples) -> Samples:
    """Return as much of a window as is to be read now.

    All of it, unless it is as long as a window may be: then the passage probably goes on, the end may stand in the
    middle of a word, and the window is read to the quietest moment of its last seconds.
    """
    if len(samples) < round(LONGEST_WINDOW_S * RATE_HZ):
        return samples
    first = len(samples) - round(SEARCH_S * RATE_HZ)
    frames = np.square(samples[first : len(samples) - round(TAIL_S * RATE_HZ)]).reshape(-1, FRAME_SAMPLES).sum(axis=1)
    width = round(PAUSE_S * RATE_HZ / FRAME_SAMPLES)
    loudness = np.convolve(frames, np.ones(width), mode="valid")
    quietest = int(np.argmin(loudness)) + width // 2
    return samples[: first + quietest * FRAME_SAMPLES]


def hypothesis(
    text: str, *, tokens: tuple[int, ...], length_s: float, language: str | None, temperature: float
) -> Hypothesis:
    """Place the text of a window: as one segment, from where speech begins to where it ends.

    The model tells no times, and a text divided by guesses would claim some. Speech detection cuts windows at pauses
    and knows where each begins and ends, so the segment's times are those, and nothing finer is said.

    Args:
        text: As the model wrote it.
        tokens: The same as ids.
        length_s: How much of the window was read.
        language: As the caller named it; the model tells none.
        temperature: At which the text was drawn.
    """
    said = text.strip()
    if not said:
        return Hypothesis(segments=(), language=None, language_probability=0.0, consumed_s=length_s, has_speech=False)
    raw = said.encode()
    segment = Segment(
        start_s=0.0,
        end_s=length_s,
        text=f" {said}",
        tokens=tokens,
        temperature=temperature,
        compression_ratio=len(raw) / len(zlib.compress(raw)),
    )
    return Hypothesis(
        segments=(segment,),
        language=language,
        language_probability=1.0 if language else 0.0,
        consumed_s=length_s,
        has_speech=True,
    )


def window_bytes(shape: Shape) -> int:
    """Return what one window takes of a device at its peak.

    The encoder's attention, where no fused kernel keeps it out of memory, is freed before the text grows; keys and
    values grow with every token, and the logits of a step are there in 32 bits three times.

    Example:
        >>> mini = Shape(
        ...     layers=30, key_heads=8, head_width=128, vocabulary=131072, encoder_heads=20, encoder_width=1280,
        ...     float_bytes=2,
        ... )
        >>> window_bytes(mini) // 10**6
        136
    """
    encoder_frames = 1500
    encoder = encoder_frames * (encoder_frames * shape.encoder_heads + 12 * shape.encoder_width) * shape.float_bytes
    tokens = PROMPT_TOKENS + most_tokens(LONGEST_WINDOW_S)
    keys_and_values = 2 * shape.layers * shape.key_heads * shape.head_width * tokens * shape.float_bytes
    return max(encoder, keys_and_values + 3 * 4 * shape.vocabulary)


def windows_on_cuda(shape: Shape, *, room_bytes: int) -> int:
    """Return how many windows one batch holds at most, at least 1.

    Args:
        shape: Of the model.
        room_bytes: What is free once the weights are there.
    """
    return max(1, min(MOST_WINDOWS, int((room_bytes - RESERVE_BYTES) / window_bytes(shape) / MARGIN)))


def device_fault(error: RuntimeError | MemoryError) -> DeviceFault:
    """Name the failure of a device; CUDA's own errors stick to the process, a lack of memory does not."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)  # what follows is advice for programmers
    said = reason.lower()
    if isinstance(error, MemoryError) or "out of memory" in said or "alloc" in said:
        return DeviceFault("the device has not enough memory for this batch", out_of_memory=True)
    return DeviceFault(f"the device failed: {reason}", fatal="cuda" in said or "cublas" in said)
