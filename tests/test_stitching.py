from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import faster_whisper.transcribe as upstream
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.waveform import RATE_HZ
from transcriber.stitching import MIN_STEP_S, Piece, advance, segments_of, stitch
from transcriber.transcript import Hypothesis, Segment, Transcript, Word
from transcriber.vad.spans import Span
from transcriber.vad.windows import Passage


def whole(length: int) -> Passage:
    return Passage(spans=(Span(0, length),))


TEN_SECONDS = whole(10 * RATE_HZ)
SPLIT = Passage(spans=(Span(1 * RATE_HZ, 3 * RATE_HZ), Span(7 * RATE_HZ, 9 * RATE_HZ)))


def segment(start_s: float, end_s: float, text: str = " said", *, words: tuple[Word, ...] | None = None) -> Segment:
    return Segment(start_s=start_s, end_s=end_s, text=text, words=words, tokens=(1, 2), avg_logprob=-0.25)


def word(start_s: float, end_s: float, text: str = " said") -> Word:
    return Word(start_s=start_s, end_s=end_s, text=text, probability=0.5)


def said(*segments: Segment, consumed_s: float = 30.0, language: str | None = "en") -> Hypothesis:
    return Hypothesis(
        segments=segments,
        language=language,
        language_probability=0.75 if language else 0.0,
        consumed_s=consumed_s,
        has_speech=bool(segments),
    )


def piece(*segments: Segment, passage: Passage = TEN_SECONDS, start_s: float = 0.0, consumed_s: float = 30.0) -> Piece:
    return Piece(
        passage=passage, start_sample=round(start_s * RATE_HZ), hypothesis=said(*segments, consumed_s=consumed_s)
    )


def stitched(*pieces: Piece, duration_s: float = 10.0, language: str | None = None) -> Transcript:
    return stitch(pieces, duration_s=duration_s, speech_s=4.0, language=language, task="transcribe")


def times(segments: tuple[Segment, ...]) -> list[tuple[float, float]]:
    return [(segment.start_s, segment.end_s) for segment in segments]


passages = st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 80_000)), min_size=1, max_size=8).map(
    lambda steps: Passage(
        spans=tuple(
            Span(begin + silence, begin + silence + length)
            for (silence, length), begin in zip(
                steps, [sum(map(sum, steps[:index])) for index in range(len(steps))], strict=True
            )
        )
    )
)


@st.composite
def readings(draw: st.DrawFn) -> tuple[Passage, list[Segment]]:
    """A passage and what one window over all of it could give: segments that ascend, some with words."""
    passage = draw(passages)
    # A quarter beyond the sample: upstream truncates to samples, which must be the same as to round to them. At
    # multiples of four that is so for the middles of words, too.
    stops = [4 * quarter for quarter in sorted(draw(st.sets(st.integers(0, (len(passage) - 1) // 4), max_size=16)))]
    segments = []
    for start, stop in zip(stops[::2], stops[1::2], strict=False):
        start_s, end_s = (start + 0.25) / RATE_HZ, (stop + 0.25) / RATE_HZ
        middle_s = ((start + stop) // 2 + 0.25) / RATE_HZ
        words = (word(start_s, middle_s), word(middle_s, end_s)) if draw(st.booleans()) else None
        segments.append(segment(start_s, end_s, words=words))
    return passage, segments


hypotheses = st.builds(
    lambda consumed_s: said(consumed_s=consumed_s),
    st.floats(0, 30) | st.sampled_from([-1.0, 0.0, 0.02, 30.0, float("inf")]),
)


@given(readings())
def test_times_are_restored_as_faster_whisper_does(reading: tuple[Passage, list[Segment]]) -> None:
    passage, segments = reading
    duration_s = passage.spans[-1].stop / RATE_HZ
    theirs = [
        upstream.Segment(
            **dict.fromkeys(("id", "seek", "text", "tokens", "avg_logprob", "compression_ratio", "no_speech_prob")),
            start=segment.start_s,
            end=segment.end_s,
            temperature=0.0,
            words=[upstream.Word(word.start_s, word.end_s, word.text, 1.0) for word in segment.words or ()],
        )
        for segment in segments
    ]
    chunks = [{"start": span.start, "end": span.stop} for span in passage.spans]
    expected = [(s.start, s.end) for s in upstream.restore_speech_timestamps(theirs, chunks, RATE_HZ)]

    ours = times(stitched(piece(*segments, passage=passage), duration_s=duration_s).segments)

    # Upstream rounds to 0.01 s, and lets a word that straddles a cut begin before the word before it has ended.
    floor_s = 0.0
    for (start_s, end_s), (expected_start_s, expected_end_s) in zip(ours, expected, strict=True):
        assert start_s == pytest.approx(max(expected_start_s, floor_s), abs=0.0051)
        assert end_s == pytest.approx(max(expected_end_s, start_s), abs=0.0051)
        floor_s = end_s


@given(st.lists(readings(), max_size=4))
def test_segments_and_words_never_run_backwards(readings: list[tuple[Passage, list[Segment]]]) -> None:
    pieces = [piece(*segments, passage=passage) for passage, segments in readings]
    duration_s = max((passage.spans[-1].stop / RATE_HZ for passage, _ in readings), default=0.0) + 1e-9

    transcript = stitched(*pieces)

    assert len(transcript.segments) == sum(len(segments) for _, segments in readings)
    for each in transcript.segments:
        assert 0 <= each.start_s <= each.end_s <= duration_s
        stamps = [stamp for word in each.words or () for stamp in (word.start_s, word.end_s)]
        assert stamps == sorted(stamps)
        assert not stamps or (stamps[0], stamps[-1]) == (each.start_s, each.end_s)
    for earlier, later in pairwise(transcript.segments):
        assert earlier.end_s <= later.start_s


def test_a_windows_clock_begins_where_the_window_does() -> None:
    transcript = stitched(piece(segment(1.0, 2.0), start_s=4.0))

    assert times(transcript.segments) == [(5.0, 6.0)]


def test_at_a_cut_a_segment_ends_early_and_the_next_begins_late() -> None:
    transcript = stitched(piece(segment(0.0, 2.0), segment(2.0, 4.0), passage=SPLIT))

    assert times(transcript.segments) == [(1.0, 3.0), (7.0, 9.0)]


def test_a_word_that_straddles_a_cut_stands_where_its_middle_is() -> None:
    straddling = word(1.5, 2.25)

    transcript = stitched(piece(segment(1.5, 2.25, words=(straddling,)), passage=SPLIT))

    assert transcript.segments[0].words == (replace(straddling, start_s=2.5, end_s=3.25),)
    assert times(transcript.segments) == [(2.5, 3.25)]


def test_a_segment_is_as_long_as_its_words() -> None:
    transcript = stitched(piece(segment(0.0, 9.0, words=(word(1.0, 2.0), word(3.0, 4.0)))))

    assert times(transcript.segments) == [(1.0, 4.0)]


def test_only_times_change() -> None:
    before = segment(1.0, 2.0)

    assert stitched(piece(before, start_s=1.0)).segments == (replace(before, start_s=2.0, end_s=3.0),)


@pytest.mark.parametrize("dropped", [segment(1.0, 2.0, " "), segment(1.0, 2.0, ""), segment(1.0, 1.0, " instant")])
def test_segments_of_nothing_are_dropped(dropped: Segment) -> None:
    assert stitched(piece(dropped)).segments == ()


def test_what_the_next_window_reads_again_is_dropped() -> None:
    first = piece(segment(0.0, 4.0, " one"), segment(4.0, 6.0, " tw"), consumed_s=4.0)
    second = piece(segment(0.0, 3.0, " two"), start_s=4.0)

    assert stitched(first, second).text == "one two"


def test_text_beyond_the_end_is_kept_at_the_end() -> None:
    """Windows are filled up with silence, and a model may set its stamps there."""
    transcript = stitched(piece(segment(9.0, 12.0, " late"), segment(12.0, 15.0, " later"), consumed_s=10.0))

    assert times(transcript.segments) == [(9.0, 10.0), (10.0, 10.0)]


def test_words_beyond_a_passage_leave_the_next_one_its_time() -> None:
    first, second = whole(2 * RATE_HZ), Passage(spans=(Span(2 * RATE_HZ, 4 * RATE_HZ),))

    transcript = stitched(
        piece(segment(1.0, 9.0, words=(word(1.0, 9.0),)), passage=first), piece(segment(0.5, 1.0), passage=second)
    )

    assert times(transcript.segments) == [(1.0, 2.0), (2.5, 3.0)]


def test_overlapping_segments_are_parted() -> None:
    transcript = stitched(piece(segment(0.0, 5.0), segment(4.0, 8.0), segment(6.0, 7.0), segment(8.5, 9.0)))

    assert times(transcript.segments) == [(0.0, 5.0), (5.0, 8.0), (8.0, 8.0), (8.5, 9.0)]


def test_the_language_is_that_of_the_earliest_window_with_speech() -> None:
    pieces = [
        Piece(passage=TEN_SECONDS, start_sample=start, hypothesis=said(language=language))
        for start, language in ((0, None), (16_000, "de"), (32_000, "fr"))
    ]

    transcript = stitched(*pieces)

    assert (transcript.language, transcript.language_probability) == ("de", 0.75)


def test_silence_has_no_language_unless_one_was_named() -> None:
    assert (stitched().language, stitched().language_probability) == (None, 0.0)
    assert (stitched(language="de").language, stitched(language="de").language_probability) == ("de", 1.0)


def test_the_transcript_tells_what_it_was_made_of() -> None:
    transcript = stitched(duration_s=12.5)

    assert (transcript.duration_s, transcript.speech_s, transcript.task) == (12.5, 4.0, "transcribe")


def test_segments_come_as_soon_as_their_window_is_read() -> None:
    def one_window() -> Iterator[Piece]:
        yield piece(segment(0.0, 1.0, " first"), consumed_s=1.0)
        pytest.fail("the second window was waited for")

    assert next(segments_of(one_window())).text == " first"


@pytest.mark.parametrize(
    ("consumed_s", "following"),
    [
        (4.0, 128_000),
        (5.88, 158_080),
        (5.95, None),  # a rest of 0.05 s
        (6.0, None),
        (30.0, None),
        (float("inf"), None),
        (0.0, 72_000),
        (0.02, 72_000),
    ],
)
def test_the_next_window_begins_where_the_last_was_settled(consumed_s: float, following: int | None) -> None:
    assert advance(160_000, 64_000, said(consumed_s=consumed_s)) == following


@given(st.integers(1, 40 * RATE_HZ), st.data())
def test_any_model_comes_to_the_end_of_a_passage(length: int, data: st.DataObject) -> None:
    start: int | None = 0
    windows = 0
    while start is not None:
        windows += 1
        following = advance(length, start, data.draw(hypotheses))
        assert following is None or start + MIN_STEP_S * RATE_HZ <= following < length
        start = following

    assert windows <= 1 + length / (MIN_STEP_S * RATE_HZ)
