"""Whether a window's text can be believed, and which of several attempts to keep."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transcriber.options import DecodingOptions

PROMPT_RESET_TEMPERATURE = 0.5
"""Text sampled above this temperature is not shown to the next window (faster-whisper's default)."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What one temperature made of a window.

    Attributes:
        tokens: Timestamps included, end of text not.
        text: The tokens as text, stripped.
        avg_logprob: Mean log probability per token, the end of text counted.
        no_speech_prob: In [0, 1].
    """

    tokens: tuple[int, ...]
    text: str
    temperature: float
    avg_logprob: float
    no_speech_prob: float

    @cached_property
    def compression_ratio(self) -> float:
        """How much zlib shrinks the text: repetition shrinks well."""
        raw = self.text.encode()
        return len(raw) / len(zlib.compress(raw))


def is_doubtful(attempt: Attempt, options: DecodingOptions) -> bool:
    """Tell whether the next temperature should be tried.

    Source: `WhisperModel.generate_with_fallback` of faster-whisper 1.2.1, condition by condition.
    """
    return (_is_repetitive(attempt, options) or _is_improbable(attempt, options)) and not (
        _sounds_silent(attempt, options) and _is_improbable(attempt, options)
    )


def is_silence(attempt: Attempt, options: DecodingOptions) -> bool:
    """Tell whether the window is to be taken for silence, whatever text was written.

    Source: `WhisperModel.generate_segments` of faster-whisper 1.2.1 ("no voice activity check").
    """
    is_probable = options.log_prob_threshold is not None and attempt.avg_logprob > options.log_prob_threshold
    return _sounds_silent(attempt, options) and not is_probable


def best(attempts: Sequence[Attempt], options: DecodingOptions) -> Attempt:
    """Choose among attempts that were all doubtful: the most probable of those that do not repeat themselves."""
    honest = [attempt for attempt in attempts if not _is_repetitive(attempt, options)]
    return max(honest or attempts, key=lambda attempt: attempt.avg_logprob)


def _is_repetitive(attempt: Attempt, options: DecodingOptions) -> bool:
    threshold = options.compression_ratio_threshold
    return threshold is not None and attempt.compression_ratio > threshold


def _is_improbable(attempt: Attempt, options: DecodingOptions) -> bool:
    threshold = options.log_prob_threshold
    return threshold is not None and attempt.avg_logprob < threshold


def _sounds_silent(attempt: Attempt, options: DecodingOptions) -> bool:
    threshold = options.no_speech_threshold
    return threshold is not None and attempt.no_speech_prob > threshold
