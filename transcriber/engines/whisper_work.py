"""A window on its way through Whisper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from transcriber.engines.ladder import Attempt
from transcriber.engines.mel import Mel
from transcriber.options import DecodingOptions

Encoded = npt.NDArray[Any]
"""Shape (1, 1500, width), of the type that the device computes in."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhisperWork:
    """One window on its way through the temperatures.

    Attributes:
        mel: Shape (mels, 3000).
        n_frames: How many of them are sound, at least 1.
        before: Token ids of the text that stands before the transcript.
        language: Code; None until the model has told.
        language_probability: 1.0 when the caller gave the language.
        others: How many more may want the device at the same time.
        attempts: What the lower temperatures made of it, all doubtful.
        encoded: The encoder's output, kept so that a retry does not encode again; None while there is none, and on
            CUDA, where encoding again costs less than the way to the host and back.
    """

    mel: Mel
    n_frames: int
    decoding: DecodingOptions
    before: tuple[int, ...]
    language: str | None
    language_probability: float = 1.0
    others: int = 0
    attempts: tuple[Attempt, ...] = ()
    encoded: Encoded | None = None

    @property
    def temperature(self) -> float:
        """The temperature whose turn it is."""
        return self.decoding.temperatures[len(self.attempts)]
