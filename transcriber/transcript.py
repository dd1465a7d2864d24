"""What comes out: words, segments, and the transcript of a whole recording."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word as it is written, with the space before it.

    Attributes:
        start_s: Seconds; on the clock of whatever holds the word (window, then recording).
        end_s: Seconds, not before `start_s`.
        text: The word with its leading space and its punctuation, so that words join to the segment's text.
        probability: Mean probability of the word's tokens, in [0, 1].
    """

    start_s: float
    end_s: float
    text: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """About a sentence, with where it begins and ends.

    Attributes:
        start_s: Seconds; on the clock of whatever holds the segment (window, then recording).
        end_s: Seconds, not before `start_s`.
        text: As the model wrote it, leading space included.
        words: None unless words were asked for.
        tokens: The model's token ids, timestamps included; empty for engines that have none to show.
        temperature: The sampling temperature that gave this text; 0 is beam search.
        avg_logprob: Mean log probability of the window's tokens.
        compression_ratio: zlib's ratio over the window's text; above 2.4 the text repeats itself.
        no_speech_prob: Probability that the window holds no speech, in [0, 1].
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] | None = None
    tokens: tuple[int, ...] = ()
    temperature: float = 0.0
    avg_logprob: float = 0.0
    compression_ratio: float = 0.0
    no_speech_prob: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """What an engine made of one window.

    Attributes:
        segments: On the window's own clock, ascending.
        language: ISO 639-1 code that was used; None where the window holds no speech and no language was given.
        language_probability: 1.0 when the language was given, 0.0 when it is None.
        consumed_s: Seconds of the window that are settled. What follows was cut off by the window's end and must be
            read again from there; equal to or above the window's length when nothing is left.
        has_speech: False when the engine judged the window to be silence; then `segments` is empty.
        context: What the engine wants to see with the window that follows, opaque to everybody else.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float
    consumed_s: float
    has_speech: bool
    context: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The whole recording as text.

    Attributes:
        segments: On the recording's clock, ascending by start.
        language: ISO 639-1 code; None when no speech was found and none was given.
        language_probability: In [0, 1]; 1.0 when the language was given.
        duration_s: Seconds of the recording, silence included.
        speech_s: Seconds that were found to be speech; equal to `duration_s` when speech detection was off.
        task: `transcribe` or `translate`.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float
    duration_s: float
    speech_s: float
    task: str

    @property
    def text(self) -> str:
        """All segments' text joined as the model wrote it, without white space at the ends."""
        return "".join(segment.text for segment in self.segments).strip()
