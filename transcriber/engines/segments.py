"""From a window's tokens to what was said when."""

from __future__ import annotations

from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from transcriber.engines import ladder
from transcriber.engines.ladder import Attempt
from transcriber.engines.mel import FRAMES_PER_SECOND
from transcriber.engines.prompts import CONTEXT_TOKENS
from transcriber.engines.whisper_work import Encoded, WhisperWork
from transcriber.transcript import Hypothesis, Segment, Word

PREPENDED_MARKS = "\"'“¿([{-"
APPENDED_MARKS = "\"'.。,，!！?？:：”)]}、"


def silence(work: WhisperWork) -> Hypothesis:
    """Return the hypothesis that nobody speaks."""
    return Hypothesis(
        segments=(),
        language=None,
        language_probability=0.0,
        consumed_s=work.n_frames / FRAMES_PER_SECOND,
        has_speech=False,
        context=work.before,
    )


def hypothesis(
    model: WhisperModel,
    tokenizer: Tokenizer,
    work: WhisperWork,
    attempt: Attempt,
    *,
    last_temperature: float,
    row: Encoded | None,
) -> Hypothesis:
    """Split a text at its timestamps, and align its words when they were asked for.

    Args:
        model: Splits and aligns as faster-whisper does.
        tokenizer: Of the work's language and task.
        work: What was asked.
        attempt: The text that is believed.
        last_temperature: The last one tried, whether or not its text is believed.
        row: The encoder's output, needed for words.
    """
    # Private, but the reference for what a timestamp means; requirements.txt pins the version.
    parts, consumed_frames, is_closed = model._split_segments_by_timestamps(  # noqa: SLF001
        tokenizer=tokenizer,
        tokens=list(attempt.tokens),
        time_offset=0.0,
        segment_size=work.n_frames,
        segment_duration=work.n_frames / FRAMES_PER_SECOND,
        seek=0,
    )
    if work.decoding.word_timestamps and row is not None:
        _add_words(model, parts, tokenizer, row, work.n_frames)
        last_end = parts[-1]["words"][-1]["end"] if parts and parts[-1].get("words") else None
        if not is_closed and last_end:
            consumed_frames = round(last_end * FRAMES_PER_SECOND)
    segments = tuple(segment for part in parts if (segment := _segment(part, tokenizer, attempt)) is not None)
    said = tuple(token for segment in segments for token in segment.tokens)
    keeps_context = last_temperature <= ladder.PROMPT_RESET_TEMPERATURE
    return Hypothesis(
        segments=segments,
        language=(work.language or "en") if segments else None,
        language_probability=work.language_probability if segments else 0.0,
        consumed_s=consumed_frames / FRAMES_PER_SECOND,
        has_speech=bool(segments),
        context=(*work.before, *said)[-CONTEXT_TOKENS:] if keeps_context else (),
    )


def _add_words(
    model: WhisperModel, parts: list[dict[str, Any]], tokenizer: Tokenizer, row: Encoded, n_frames: int
) -> None:
    """Add `words` to each part in place; CTranslate2 cannot align a text without tokens."""
    if not any(token < tokenizer.eot for part in parts for token in part["tokens"]):
        return
    model.add_word_timestamps(
        [parts],
        tokenizer,
        ctranslate2.StorageView.from_array(np.ascontiguousarray(row)),
        n_frames,
        PREPENDED_MARKS,
        APPENDED_MARKS,
        last_speech_timestamp=0.0,
    )


def _segment(part: dict[str, Any], tokenizer: Tokenizer, attempt: Attempt) -> Segment | None:
    text = tokenizer.decode(part["tokens"])
    if part["start"] == part["end"] or not text.strip():
        return None
    words = part.get("words")
    return Segment(
        start_s=float(part["start"]),
        end_s=float(part["end"]),
        text=text,
        words=None if words is None else tuple(_word(word) for word in words),
        tokens=tuple(part["tokens"]),
        temperature=attempt.temperature,
        avg_logprob=attempt.avg_logprob,
        compression_ratio=attempt.compression_ratio,
        no_speech_prob=attempt.no_speech_prob,
    )


def _word(word: dict[str, Any]) -> Word:
    return Word(
        start_s=float(word["start"]),
        end_s=float(word["end"]),
        text=word["word"],
        probability=float(word["probability"]),
    )
