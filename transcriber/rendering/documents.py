"""A transcript as JSON, in our shape and in OpenAI's, and as plain text."""

from __future__ import annotations

import json as json_text
import math
from collections.abc import Mapping
from typing import NotRequired, TypedDict

from transcriber import languages
from transcriber.rendering.timestamps import milliseconds
from transcriber.transcript import Segment, Transcript, Word


class WordDocument(TypedDict):
    """A word inside a segment of `json`; times in seconds."""

    start: float
    end: float
    word: str
    probability: float


class SegmentDocument(TypedDict):
    """A segment of `json`; times in seconds, text without white space at its ends."""

    start: float
    end: float
    text: str
    words: NotRequired[list[WordDocument]]


class TranscriptDocument(TypedDict):
    """The answer in `json`."""

    text: str
    detected_language: str | None
    language_probability: float
    duration: float
    segments: NotRequired[list[SegmentDocument]]


class VerboseWord(TypedDict):
    """A word of `verbose_json`; times in seconds."""

    word: str
    start: float
    end: float


class VerboseSegment(TypedDict):
    """A segment of `verbose_json`.

    OpenAI's `seek` is where the model's window begins, in hundredths of a second. Windows of ours do not lie on a grid
    and are nobody's business, so it is where the segment begins.
    """

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class Usage(TypedDict):
    """What OpenAI would charge for: seconds begun."""

    type: str
    seconds: int


class VerboseDocument(TypedDict):
    """The answer in `verbose_json` (openai-python 3.52, `TranscriptionVerbose`, and `task`, which the service adds)."""

    task: str
    language: str | None
    duration: float
    text: str
    segments: NotRequired[list[VerboseSegment]]
    words: NotRequired[list[VerboseWord]]
    usage: Usage


class FailureDocument(TypedDict):
    """The answer to a request that failed."""

    error: str
    code: str


def json(transcript: Transcript, *, with_segments: bool, with_words: bool) -> str:
    """Write the transcript in our own shape, as one line of JSON."""
    document = transcript_document(transcript)
    if with_segments:
        document["segments"] = [segment_document(segment, with_words=with_words) for segment in transcript.segments]
    return line(document)


def transcript_document(transcript: Transcript) -> TranscriptDocument:
    """Put a transcript into our own shape, without its segments."""
    return TranscriptDocument(
        text=transcript.text,
        detected_language=transcript.language,
        language_probability=_rounded(transcript.language_probability),
        duration=seconds(transcript.duration_s),
    )


def segment_document(segment: Segment, *, with_words: bool) -> SegmentDocument:
    """Put a segment into our own shape."""
    document = SegmentDocument(start=seconds(segment.start_s), end=seconds(segment.end_s), text=segment.text.strip())
    if with_words:
        document["words"] = [_word(word) for word in segment.words or ()]
    return document


def verbose_json(transcript: Transcript, *, with_segments: bool, with_words: bool) -> str:
    """Write the transcript as OpenAI's `verbose_json`; the language is its English name, null for silence."""
    document = VerboseDocument(
        task=transcript.task,
        language=None if transcript.language is None else languages.NAMES[transcript.language],
        duration=seconds(transcript.duration_s),
        text=transcript.text,
        usage=usage(transcript),
    )
    if with_segments:
        document["segments"] = [_verbose_segment(number, segment) for number, segment in enumerate(transcript.segments)]
    if with_words:
        document["words"] = [
            VerboseWord(word=word.text.strip(), start=seconds(word.start_s), end=seconds(word.end_s))
            for segment in transcript.segments
            for word in segment.words or ()
        ]
    return line(document)


def usage(transcript: Transcript) -> Usage:
    """Say what OpenAI would charge for."""
    return Usage(type="duration", seconds=math.ceil(transcript.duration_s))


def failure(sentence: str, *, code: str) -> str:
    """Write why there is no transcript.

    The sentence comes first: SageMaker shows callers the first 2,048 characters of an answer that failed.

    Args:
        sentence: What went wrong, for the caller.
        code: The failure's stable slug.
    """
    return sendable(line(FailureDocument(error=sentence, code=code)))


def sendable(line: str) -> str:
    """Escape halves of surrogate pairs: they cannot be sent, but their escape is JSON."""
    return line.encode(errors="backslashreplace").decode()


def text(transcript: Transcript) -> str:
    """Write nothing but the text, and a line's end."""
    return f"{transcript.text}\n"


def _word(word: Word) -> WordDocument:
    return WordDocument(
        start=seconds(word.start_s),
        end=seconds(word.end_s),
        word=word.text.strip(),
        probability=_rounded(word.probability),
    )


def _verbose_segment(number: int, segment: Segment) -> VerboseSegment:
    return VerboseSegment(
        id=number,
        seek=milliseconds(segment.start_s) // 10,
        start=seconds(segment.start_s),
        end=seconds(segment.end_s),
        text=segment.text,
        tokens=list(segment.tokens),
        temperature=_rounded(segment.temperature),
        avg_logprob=_rounded(segment.avg_logprob),
        compression_ratio=_rounded(segment.compression_ratio),
        no_speech_prob=_rounded(segment.no_speech_prob),
    )


def seconds(exact_s: float) -> float:
    """Round to the millisecond, as subtitles do."""
    return milliseconds(exact_s) / 1000


def _rounded(number: float) -> float:
    return round(float(number), 3)


def line(document: Mapping[str, object]) -> str:
    """Write a document as one line of JSON."""
    return json_text.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
