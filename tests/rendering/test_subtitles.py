from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.rendering.subtitles import LINE_COLUMNS, LONGEST_MS, SHORTEST_MS, Cue, cues_of, srt, vtt
from transcriber.transcript import Segment, Word

SRT = re.compile(r"(\d+\n\d{2,}:[0-5]\d:[0-5]\d,\d{3} --> \d{2,}:[0-5]\d:[0-5]\d,\d{3}\n([^\n]+\n){1,2}(\n(?!$)|$))*")
VTT = re.compile(r"WEBVTT\n(\n\d{2,}:[0-5]\d:[0-5]\d\.\d{3} --> \d{2,}:[0-5]\d:[0-5]\d\.\d{3}\n([^\n<>]+\n){1,2})*")

TEXTS = st.text(alphabet=st.sampled_from("abc,.  \n\t->&<世界。「」한\u0301\u200b\x00🎉"), max_size=200) | st.text(
    max_size=200
)


@st.composite
def segments(draw: st.DrawFn) -> list[Segment]:
    """Segments that ascend by start but may overlap, stand still, be silent or be absurdly dense."""
    found: list[Segment] = []
    clock_s = 0.0
    for text in draw(st.lists(TEXTS, max_size=6)):
        clock_s += draw(st.floats(min_value=0, max_value=20))
        end_s = clock_s + draw(st.floats(min_value=0, max_value=60))
        words: list[Word] | None = None
        if draw(st.booleans()):
            times = sorted(draw(st.lists(st.floats(min_value=clock_s, max_value=end_s), min_size=2, max_size=40)))
            words = [
                Word(start_s=start, end_s=end, text=piece, probability=0.5)
                for (start, end), piece in zip(itertools.pairwise(times), re.findall(r"\s*\S+", text), strict=False)
            ]
        found.append(Segment(start_s=clock_s, end_s=end_s, text=text, words=None if words is None else tuple(words)))
    return found


def columns(line: str) -> int:
    return sum(
        0 if unicodedata.category(c) in {"Mn", "Me", "Cf"} else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def cue(start_ms: int, end_ms: int, *lines: str) -> Cue:
    return Cue(start_ms=start_ms, end_ms=end_ms, lines=lines)


@given(segments())
def test_cues_follow_one_another(given_segments: list[Segment]) -> None:
    cues = cues_of(given_segments)

    assert all(SHORTEST_MS <= cue.end_ms - cue.start_ms <= LONGEST_MS for cue in cues)
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(cues))


@given(segments())
def test_cues_have_one_or_two_lines_that_fit(given_segments: list[Segment]) -> None:
    for found in cues_of(given_segments):
        assert 1 <= len(found.lines) <= 2
        assert all(0 < columns(line) <= LINE_COLUMNS and line == line.strip(" ") for line in found.lines)


@given(segments())
def test_no_letter_is_lost(given_segments: list[Segment]) -> None:
    said = "".join(
        "".join(word.text for word in segment.words) if segment.words else segment.text for segment in given_segments
    )
    shown = "".join(line for found in cues_of(given_segments) for line in found.lines)

    assert [c for c in shown.replace("→", "-->") if c.isalnum()] == [c for c in said if c.isalnum()]


@given(segments())
def test_files_obey_their_grammar(given_segments: list[Segment]) -> None:
    cues = cues_of(given_segments)

    assert SRT.fullmatch(srt(cues))
    assert VTT.fullmatch(vtt(cues))
    assert srt(cues).count("-->") == vtt(cues).count("-->") == len(cues)


def test_an_empty_transcript_gives_empty_files() -> None:
    assert srt(cues_of([])) == ""
    assert vtt(cues_of([])) == "WEBVTT\n"


def test_segments_without_text_give_no_cue() -> None:
    assert cues_of([Segment(start_s=0, end_s=1, text=" \n ")]) == []


def test_a_short_segment_is_one_cue_as_it_stands() -> None:
    assert cues_of([Segment(start_s=1, end_s=3.5, text=" Good morning.")]) == [cue(1000, 3500, "Good morning.")]


def test_a_wide_segment_becomes_two_even_lines() -> None:
    text = " and this is one that just needs two lines, you see"

    assert cues_of([Segment(start_s=0, end_s=3, text=text)]) == [
        cue(0, 3000, "and this is one that just", "needs two lines, you see")
    ]


def test_a_wider_segment_is_cut_at_the_end_of_a_clause() -> None:
    text = (
        " Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in"
        " Liberty, and dedicated to the proposition."
    )

    first, second = cues_of([Segment(start_s=0, end_s=10, text=text)])

    assert first.lines == ("Four score and seven years ago our", "fathers brought forth on this continent,")
    assert second.lines == ("a new nation, conceived in Liberty,", "and dedicated to the proposition.")
    assert first.end_ms == second.start_ms


def test_words_say_when_a_cue_begins() -> None:
    words = tuple(
        Word(start_s=start, end_s=start + 0.5, text=text, probability=1.0)
        for start, text in ((0.0, " One"), (1.0, " two"), (9.0, " three"), (9.5, " four."))
    )

    cues = cues_of([Segment(start_s=0.0, end_s=10.0, text=" One two three four.", words=words)])

    assert cues == [cue(0, 1500, "One two"), cue(9000, 10000, "three four.")]


def test_a_pause_ends_a_cue() -> None:
    words = (
        Word(start_s=0.0, end_s=1.0, text=" Well,", probability=1.0),
        Word(start_s=3.0, end_s=4.0, text=" no.", probability=1.0),
    )

    cues = cues_of([Segment(start_s=0.0, end_s=4.0, text=" Well, no.", words=words)])

    assert cues == [cue(0, 1000, "Well,"), cue(3000, 4000, "no.")]


def test_a_flash_takes_time_from_the_silence_after_it() -> None:
    found = cues_of([Segment(start_s=1, end_s=1.1, text=" Yes."), Segment(start_s=5, end_s=6, text=" No.")])

    assert found == [cue(1000, 1000 + SHORTEST_MS, "Yes."), cue(5000, 6000, "No.")]


def test_a_flash_without_silence_delays_the_next_cue() -> None:
    found = cues_of([Segment(start_s=1, end_s=1.1, text=" Yes."), Segment(start_s=1.1, end_s=6, text=" No.")])

    assert found == [cue(1000, 1000 + SHORTEST_MS, "Yes."), cue(1000 + SHORTEST_MS, 6000, "No.")]


def test_chinese_is_counted_by_width_and_keeps_its_punctuation() -> None:
    text = "四十七年前，我們的先輩在這個大陸上創立了一個新的國家，它孕育於自由之中"

    (found,) = cues_of([Segment(start_s=0, end_s=6, text=text)])

    assert found.lines == ("四十七年前，我們的先輩在這個大陸上", "創立了一個新的國家，它孕育於自由之中")


def test_korean_words_are_not_broken() -> None:
    text = "대한민국은 민주공화국이다 대한민국의 주권은 국민에게 있고 모든 권력은 국민으로부터 나온다"

    lines = [line for found in cues_of([Segment(start_s=0, end_s=6, text=text)]) for line in found.lines]

    assert " ".join(lines) == text


def test_a_word_wider_than_a_line_is_cut() -> None:
    (found,) = cues_of([Segment(start_s=0, end_s=6, text="x" * 60)])

    assert found.lines == ("x" * 42, "x" * 18)


@pytest.mark.parametrize(
    ("text", "in_srt", "in_vtt"),
    [
        ("a --> b", "a → b", "a → b"),
        ("a\n\nb", "a b", "a b"),
        ("Tom & <i>Jerry</i>", "Tom & <i>Jerry</i>", "Tom &amp; &lt;i&gt;Jerry&lt;/i&gt;"),
        ("a\u2028b\x00", "a b", "a b"),
    ],
)
def test_text_cannot_break_out_of_its_cue(text: str, in_srt: str, in_vtt: str) -> None:
    cues = cues_of([Segment(start_s=0, end_s=2, text=text)])

    assert srt(cues) == f"1\n00:00:00,000 --> 00:00:02,000\n{in_srt}\n"
    assert vtt(cues) == f"WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n{in_vtt}\n"


def test_an_arrow_put_together_from_words_is_neutralised() -> None:
    words = (
        Word(start_s=0, end_s=1, text=" --", probability=1.0),
        Word(start_s=1, end_s=2, text=">", probability=1.0),
    )

    assert cues_of([Segment(start_s=0, end_s=2, text=" -->", words=words)]) == [cue(0, 2000, "→")]
