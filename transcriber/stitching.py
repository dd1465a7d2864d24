"""Hypotheses of windows -> one transcript on the recording's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from transcriber.audio.waveform import RATE_HZ
from transcriber.transcript import Hypothesis, Segment, Transcript, Word
from transcriber.vad.windows import Passage

MIN_STEP_S = 0.5
"""The next window begins at least this much later, so that a model which settles nothing reads a passage twice a second
and not for ever. Where less was settled, which takes a first utterance that short before one that outlasts the window,
up to half a second goes unread; to count the window as read would lose all of it."""

MIN_TAIL_S = 0.1
"""A shorter rest of a passage is not worth a window: no word fits into it, but Whisper invents one. whisper.cpp stops
at the same 0.1 s (its #2065); faster-whisper reads on to the last 0.01 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What was made of one window, and where it stood.

    Attributes:
        passage: The speech that the window was cut from.
        start_sample: Where in the passage the window began to be read.
        hypothesis: On the window's clock, which is 0 at `start_sample`.
    """

    passage: Passage
    start_sample: int
    hypothesis: Hypothesis


def advance(length_samples: int, start_sample: int, hypothesis: Hypothesis) -> int | None:
    """Tell where the next window of a passage begins.

    Args:
        length_samples: Length of the passage.
        start_sample: Where in the passage the window began.
        hypothesis: What was made of that window.

    Returns:
        A sample of the passage, `MIN_STEP_S` or more behind `start_sample`; None when the passage is read.
    """
    rest_s = (length_samples - start_sample) / RATE_HZ
    step_s = max(hypothesis.consumed_s, MIN_STEP_S)
    return None if rest_s - step_s < MIN_TAIL_S else start_sample + round(step_s * RATE_HZ)


def stitch(
    pieces: Sequence[Piece], *, duration_s: float, speech_s: float, language: str | None, task: str
) -> Transcript:
    """Put the transcript of a recording together.

    Args:
        pieces: One for each window that was read, in the order in which they stand in the recording.
        duration_s: Length of the recording.
        speech_s: How much of it was read.
        language: As the caller named it; None to take the one found in the earliest window that has any.
        task: What was made of the speech.
    """
    told = next((piece.hypothesis for piece in pieces if piece.hypothesis.language is not None), None)
    probability = told.language_probability if told else 0.0
    return Transcript(
        segments=tuple(segments_of(pieces)),
        language=language or (told.language if told else None),
        language_probability=1.0 if language else probability,
        duration_s=duration_s,
        speech_s=speech_s,
        task=task,
    )


def segments_of(pieces: Iterable[Piece], *, floor_s: float = 0.0) -> Iterator[Segment]:
    """Yield the segments of consecutive windows on the recording's clock, as soon as each window is there.

    Args:
        pieces: In the order in which they stand in the recording.
        floor_s: Where the last segment of the pieces before these has ended.

    Yields:
        Segments with text, within their passages, ascending; none begins before the one before it has ended. Words
        likewise, where there are any: then the segment begins with the first and ends with the last.

    Source: `generate_segments` and `restore_speech_timestamps` of faster-whisper 1.2.1. There times are rounded to
    0.01 s and may run backwards where a word straddles a cut.
    """
    for piece in pieces:
        hypothesis = piece.hypothesis
        is_followed = advance(len(piece.passage), piece.start_sample, hypothesis) is not None
        for segment in hypothesis.segments:
            is_read_again = is_followed and segment.start_s >= hypothesis.consumed_s
            if is_read_again or segment.start_s == segment.end_s or not segment.text.strip():
                continue
            placed = _forward(_on_clock(segment, piece), floor_s)
            floor_s = placed.end_s
            yield placed


def _on_clock(segment: Segment, piece: Piece) -> Segment:
    offset_s = piece.start_sample / RATE_HZ
    if segment.words:
        words = tuple(_word_on_clock(word, offset_s, piece.passage) for word in segment.words)
        return replace(segment, start_s=words[0].start_s, end_s=words[-1].end_s, words=words)
    return replace(
        segment,
        start_s=piece.passage.to_clock(segment.start_s + offset_s),
        end_s=piece.passage.to_clock(segment.end_s + offset_s, is_end=True),
    )


def _word_on_clock(word: Word, offset_s: float, passage: Passage) -> Word:
    """Move a word as a whole: where it straddles a cut, its middle says on which side it stands."""
    length_s = len(passage) / RATE_HZ
    start_s, end_s = min(word.start_s + offset_s, length_s), min(word.end_s + offset_s, length_s)
    shift_s = passage.left_out_s((start_s + end_s) / 2)
    return replace(word, start_s=start_s + shift_s, end_s=end_s + shift_s)


def _forward(segment: Segment, floor_s: float) -> Segment:
    """Push times that run backwards to the nearest that do not."""
    if not segment.words:
        start_s = max(segment.start_s, floor_s)
        return replace(segment, start_s=start_s, end_s=max(segment.end_s, start_s))
    words = []
    for word in segment.words:
        start_s = max(word.start_s, floor_s)
        floor_s = max(word.end_s, start_s)
        words.append(replace(word, start_s=start_s, end_s=floor_s))
    return replace(segment, start_s=words[0].start_s, end_s=words[-1].end_s, words=tuple(words))
