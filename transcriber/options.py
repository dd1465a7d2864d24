"""What a caller may choose, once it has been validated: frozen, hashable, free of HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures tried one after the other while a window's text looks wrong (openai/whisper transcribe.py)."""


class Task(StrEnum):
    """What is made of the speech: text in its own language, or English."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class ResponseFormat(StrEnum):
    """The form of the answer."""

    JSON = "json"
    VERBOSE_JSON = "verbose_json"
    TEXT = "text"
    SRT = "srt"
    VTT = "vtt"


class StreamFormat(StrEnum):
    """How the records of an answer are told apart that comes piece by piece.

    `OPENAI` are events too, but others: text that is appended to text.
    """

    JSON_LINES = "jsonlines"
    EVENTS = "events"
    OPENAI = "openai"


class Dialect(StrEnum):
    """Whose fields a request is written in, and whose answer it expects."""

    OWN = "own"
    OPENAI = "openai"
    JUMPSTART = "jumpstart"
    HUGGING_FACE = "hugging_face"
    VOXTRAL = "voxtral"
    PARAKEET = "parakeet"


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingOptions:
    """What an engine is told about every window of a request.

    Defaults and thresholds are faster-whisper's (`WhisperModel.transcribe`, 1.2.1).

    Attributes:
        beam_size: Beams at temperature 0, 1 to 10; 1 is greedy.
        temperatures: Tried in order until a window passes the thresholds below; ascending, each in [0, 1].
        initial_prompt: Text that stands before the first window, at most 1,000 characters; None for none.
        hotwords: Words the model is nudged towards in every window, at most 1,000 characters; None for none.
        word_timestamps: Align words by cross-attention.
        compression_ratio_threshold: Text that zlib shrinks by more than this repeats itself: try the next temperature.
            None switches the rule off.
        log_prob_threshold: A mean log probability below this is doubtful: try the next temperature. None switches the
            rule off.
        no_speech_threshold: A doubtful window whose no-speech probability is above this is silence. None switches the
            rule off.
    """

    task: Task = Task.TRANSCRIBE
    beam_size: int = 5
    temperatures: tuple[float, ...] = LADDER
    initial_prompt: str | None = None
    hotwords: str | None = None
    word_timestamps: bool = False
    compression_ratio_threshold: float | None = 2.4
    log_prob_threshold: float | None = -1.0
    no_speech_threshold: float | None = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What a request asks of the service.

    Attributes:
        language: ISO 639-1 code, a key of `languages.NAMES`; None to detect it on the speech.
        vad_filter: Find speech first and leave silence out.
        condition_on_previous_text: Show each window the text before it. One window of the request is then in flight
            at a time.
        decoding: What the engine is told.
    """

    language: str | None = None
    vad_filter: bool = True
    condition_on_previous_text: bool = False
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
