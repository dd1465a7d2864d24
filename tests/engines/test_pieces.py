"""From tokens to words, sentences and times, without any model."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.engines.pieces import Said, Vocabulary, segments_of, settled, words_of
from transcriber.engines.tdt import Token

PIECES = (
    " he",
    "llo",
    " world",
    ".",
    ",",
    " Mr",
    " Smith",
    "?",
    " ",
    "¿",
    " ¿",
    "",
    " .",
    " 3",
    "5",
    " ok",
    " Yes",
    "»",
)
VOCABULARY = Vocabulary((*PIECES, ""), len(PIECES))
FRAME_S = 0.08


def said(*tokens: tuple[str, int, int], length_s: float = 30.0) -> list[Said]:
    made = [Token(PIECES.index(piece), frame, frames, -0.5) for piece, frame, frames in tokens]
    return words_of(made, VOCABULARY, frame_s=FRAME_S, length_s=length_s)


def texts(words: list[Said]) -> list[str]:
    return [word.word.text for word in words]


def times(words: list[Said]) -> list[tuple[float, float]]:
    return [(round(word.word.start_s / FRAME_S, 3), round(word.word.end_s / FRAME_S, 3)) for word in words]


def test_a_word_begins_with_a_space_and_ends_where_the_network_went_on() -> None:
    words = said((" he", 2, 3), ("llo", 5, 2), (" world", 12, 4))

    assert texts(words) == [" hello", " world"]
    assert times(words) == [(2, 7), (12, 16)]


def test_a_window_that_begins_within_a_word_begins_with_a_space() -> None:
    assert texts(said(("llo", 0, 1), (" world", 3, 1))) == [" llo", " world"]


def test_a_mark_belongs_to_the_word_before_it_and_takes_no_time() -> None:
    words = said((" he", 1, 2), (".", 20, 4), (" world", 30, 1), (" .", 33, 2))

    assert texts(words) == [" he.", " world."]
    assert times(words) == [(1, 3), (30, 31)]


def test_a_mark_that_opens_belongs_to_the_word_behind_it() -> None:
    words = said((" ok", 0, 1), (" ¿", 2, 1), ("llo", 5, 1), (" ", 8, 1), (" Mr", 9, 1))

    assert texts(words) == [" ok", " ¿llo", " Mr"]
    assert times(words)[1] == (5, 6)


def test_words_of_one_frame_share_it() -> None:
    words = said((" he", 4, 0), (" ok", 4, 0), (" world", 4, 2), (" Mr", 5, 1))

    assert times(words) == [(4, 4.333), (4.333, 4.667), (4.667, 5), (5, 6)]


def test_what_is_no_text_is_left_out() -> None:
    assert said(("", 3, 1)) == []
    assert texts(said((" he", 1, 1), ("", 2, 1), ("llo", 3, 1))) == [" hello"]


tokens = st.lists(st.tuples(st.integers(0, len(PIECES) - 1), st.integers(0, 3), st.integers(0, 4)), max_size=40)


@given(drawn=tokens, spare=st.floats(0.001, 0.08))
def test_times_ascend_and_stay_in_the_window(drawn: list[tuple[int, int, int]], spare: float) -> None:
    frame = 0
    made = []
    for piece, gap, frames in drawn:
        frame += gap
        made.append(Token(piece, frame, frames, -0.5))
    length_s = frame * FRAME_S + spare
    words = words_of(made, VOCABULARY, frame_s=FRAME_S, length_s=length_s)

    for word in words:
        assert 0 <= word.word.start_s < word.word.end_s <= length_s + 1e-9
        assert 0 < word.word.probability <= 1
    for before, following in pairwise(words):
        assert before.word.end_s <= following.word.start_s + 1e-9
    segments = segments_of(words, with_words=True)
    assert [word for segment in segments for word in segment.words or ()] == [word.word for word in words]
    assert "".join(segment.text for segment in segments) == "".join(texts(words))


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([(" he", 0, 1), (".", 1, 1), (" Yes", 5, 1)], [" he.", " Yes"]),
        ([(" he", 0, 1), ("?", 1, 1), ("»", 1, 1), (" Yes", 5, 1)], [" he?»", " Yes"]),
        ([(" Mr", 0, 1), (".", 1, 1), (" world", 5, 1)], [" Mr. world"]),
        ([(" 3", 0, 1), (".", 1, 1), ("5", 2, 1), (" Yes", 5, 1)], [" 3.5 Yes"]),
        ([(" he", 0, 1), (" ok", 30, 1)], [" he", " ok"]),
        ([(" he", 0, 1), (" ok", 20, 1)], [" he ok"]),
    ],
)
def test_segments_are_sentences(tokens: list[tuple[str, int, int]], expected: list[str]) -> None:
    assert [segment.text for segment in segments_of(said(*tokens), with_words=False)] == expected


def test_a_cut_window_is_settled_up_to_the_last_sentence() -> None:
    words = said((" he", 100, 2), (".", 103, 1), (" Yes", 110, 2), (" ok", 150, 1), (" Mr", 180, 4), length_s=15.0)

    assert settled(words, length_s=15.0) == (2 - 1, pytest.approx((102 + 110) / 2 * FRAME_S))


def test_a_cut_window_without_a_sentence_is_settled_up_to_the_widest_gap_of_its_second_half() -> None:
    words = said((" he", 10, 2), (" ok", 60, 2), (" ok", 100, 2), (" ok", 120, 1), (" Mr", 124, 1), length_s=10.0)

    assert settled(words, length_s=10.0) == (2, pytest.approx((62 + 100) / 2 * FRAME_S))


def test_a_cut_window_that_ends_with_silence_is_settled() -> None:
    assert settled(said((" he", 10, 2), (" ok", 100, 2), length_s=10.0), length_s=10.0) == (2, 10.0)


def test_a_cut_window_is_never_settled_at_its_start() -> None:
    assert settled(said((" he", 123, 2), length_s=10.0), length_s=10.0) == (1, 10.0)
    assert settled([], length_s=10.0) == (0, 10.0)
    assert settled(said((" he", 1, 1), (" ok", 3, 122), length_s=10.0), length_s=10.0)[0] == 1
