from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.vad.spans import Span
from transcriber.vad.tail import Tail
from transcriber.vad.tape import Tape

PCM = np.arange(1, 1001, dtype=np.int16)
lengths = st.lists(st.integers(1, 50), min_size=1, max_size=10)


def tape(lengths: list[int], *, gap: int = 5) -> tuple[Tape, list[int]]:
    """A tape of spans with gaps between them, and the samples of the recording that are on it."""
    made, position, on_it = Tape(), 0, []
    for length in lengths:
        span = Span(position, position + length)
        made.add(span, PCM[span.start : span.stop])
        on_it += range(span.start, span.stop)
        position = span.stop + gap
    return made, on_it


@given(lengths, st.data())
def test_samples_are_those_of_the_spans(lengths: list[int], data: st.DataObject) -> None:
    made, on_it = tape(lengths)
    forgotten = data.draw(st.integers(0, len(made) - 1))
    made.forget(forgotten)
    start = data.draw(st.integers(0, len(made) - 1))
    stop = data.draw(st.integers(start + 1, len(made)))

    samples = made.samples(start, stop)

    assert np.array_equal(samples * 32768, PCM[on_it[forgotten:][start:stop]])
    assert samples.dtype == np.float32
    assert samples.flags.owndata


@given(lengths, st.data())
def test_the_passage_is_where_the_samples_are(lengths: list[int], data: st.DataObject) -> None:
    made, on_it = tape(lengths)
    forgotten = data.draw(st.integers(0, len(made) - 1))
    made.forget(forgotten)
    stop = data.draw(st.integers(1, len(made) + 10))

    passage = made.passage(stop)

    assert [i for span in passage.spans for i in range(span.start, span.stop)] == on_it[forgotten:][:stop]


def test_all_may_be_forgotten() -> None:
    made, _ = tape([3, 4])
    made.forget(7)

    assert len(made) == 0


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (0, 11)])
def test_samples_beyond_the_tape_are_refused(start: int, stop: int) -> None:
    made, _ = tape([10])
    with pytest.raises(ValueError, match="10 samples"):
        made.samples(start, stop)


def test_a_span_comes_with_as_many_samples() -> None:
    with pytest.raises(ValueError, match="10 samples has as many, not 9"):
        Tape().add(Span(0, 10), PCM[:9])


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 250)), max_size=20))
def test_a_tail_holds_what_is_not_forgotten(steps: list[tuple[int, int]]) -> None:
    tail, forgotten = Tail(np.empty(0, np.int16)), 0
    for length, before in steps:
        tail.extend(PCM[tail.stop : tail.stop + length])
        forgotten = max(forgotten, min(before, tail.stop))
        tail.forget(min(before, tail.stop))

        assert np.array_equal(tail.between(forgotten, tail.stop + 5), PCM[forgotten : tail.stop])
        assert len(tail._held) == tail.stop - forgotten


def test_a_tail_does_not_make_up_what_is_forgotten() -> None:
    tail = Tail(PCM)
    tail.forget(10)

    with pytest.raises(ValueError, match="forgotten up to 10"):
        tail.between(9, 20)
