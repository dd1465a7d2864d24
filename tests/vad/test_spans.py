from __future__ import annotations

from itertools import pairwise
from types import FunctionType

import numpy as np
import pytest
from faster_whisper import vad
from hypothesis import given
from hypothesis import strategies as st

from transcriber.vad.spans import HOP_SAMPLES, Part, Probabilities, Span, SpanFinder, parts_of, spans_of

LEVELS = [0.0, 0.2, np.float32(0.35), 0.35, 0.4, 0.49, 0.5, 0.51, 0.9, 1.0]


@st.composite
def heard(draw: st.DrawFn) -> tuple[Probabilities, int]:
    """Probabilities that stay for a while, and the length of a recording with that many frames."""
    runs = draw(st.lists(st.tuples(st.sampled_from(LEVELS), st.integers(1, 40)), min_size=1, max_size=30))
    probabilities = np.concatenate([np.full(count, level, np.float32) for level, count in runs])
    length = (len(probabilities) - 1) * HOP_SAMPLES + draw(st.integers(0, HOP_SAMPLES - 1))
    return probabilities, length


def upstream_spans(probabilities: Probabilities, length: int, *, min_pause_ms: int, pad_ms: int) -> tuple[Span, ...]:
    """Run faster-whisper's own function with a model that says what we want to hear."""
    model = {"get_vad_model": lambda: lambda _audio: probabilities}
    reference = FunctionType(vad.get_speech_timestamps.__code__, {**vars(vad), **model})
    options = vad.VadOptions(min_silence_duration_ms=min_pause_ms, speech_pad_ms=pad_ms)
    found = reference(np.zeros(length, np.float32), options, 16_000)
    return tuple(Span(span["start"], span["end"]) for span in found)


def frames(*levels: float) -> Probabilities:
    return np.array(levels, np.float32)


@given(heard())
def test_equal_to_faster_whisper(case: tuple[Probabilities, int]) -> None:
    probabilities, length = case

    assert spans_of(probabilities, length_samples=length) == upstream_spans(
        probabilities, length, min_pause_ms=160, pad_ms=400
    )


@given(heard(), st.sampled_from([0, 30, 160, 500, 2000]), st.sampled_from([0, 30, 400]))
def test_equal_to_faster_whisper_with_other_pauses_and_pads(
    case: tuple[Probabilities, int], min_pause_ms: int, pad_ms: int
) -> None:
    probabilities, length = case
    expected = upstream_spans(probabilities, length, min_pause_ms=min_pause_ms, pad_ms=pad_ms)

    found = spans_of(probabilities, length_samples=length, min_pause_samples=min_pause_ms * 16, pad_samples=pad_ms * 16)

    assert found == expected


@given(heard())
def test_spans_ascend_within_the_recording_and_hold_every_voiced_frame(case: tuple[Probabilities, int]) -> None:
    probabilities, length = case
    spans = spans_of(probabilities, length_samples=length)

    assert all(earlier.stop <= later.start for earlier, later in pairwise(spans))
    assert all(span.stop <= length for span in spans)
    for frame in np.flatnonzero(probabilities >= 0.5):
        start, stop = int(frame) * HOP_SAMPLES, min(length, (int(frame) + 1) * HOP_SAMPLES)
        assert start >= length or any(span.start <= start and stop <= span.stop for span in spans)


def found_bit_by_bit(probabilities: Probabilities, length: int, cuts: list[int], **settings: int) -> list[Part]:
    """Hand the frames over in pieces; every part must come when it is settled, as it will be in the end."""
    finder = SpanFinder(**settings)
    edges = [0, *sorted(cut % len(probabilities) for cut in cuts)]
    parts: list[Part] = []
    for start, stop in pairwise(edges):
        earliest = finder.earliest
        fresh = finder.add(probabilities[start:stop])
        assert all(part.span.start >= earliest for part in fresh)
        parts += fresh
    return parts + finder.finish(probabilities[edges[-1] :], length_samples=length)


@given(heard(), st.lists(st.integers(0, 10**6)), st.sampled_from([0, 30, 160, 500]), st.sampled_from([0, 30, 400]))
def test_spans_are_the_same_however_the_frames_are_dealt_out(
    case: tuple[Probabilities, int], cuts: list[int], min_pause_ms: int, pad_ms: int
) -> None:
    probabilities, length = case
    settings = {"min_pause_samples": min_pause_ms * 16, "pad_samples": pad_ms * 16}

    parts = found_bit_by_bit(probabilities, length, cuts, **settings)

    assert tuple(part.span for part in parts) == spans_of(probabilities, length_samples=length, **settings)


@given(heard(), st.lists(st.integers(0, 10**6)), st.integers(3_000, 60_000))
def test_parts_are_those_of_the_whole_spans(case: tuple[Probabilities, int], cuts: list[int], limit: int) -> None:
    probabilities, length = case
    spans = spans_of(probabilities, length_samples=length)

    parts = found_bit_by_bit(probabilities, length, cuts, limit_samples=limit)

    assert parts == [
        part for span in spans for part in parts_of(span, probabilities, limit_samples=limit, hop_samples=HOP_SAMPLES)
    ]
    assert all(len(part) <= limit for part in parts)


def test_a_span_is_settled_when_two_pads_of_silence_have_followed() -> None:
    finder = SpanFinder(min_pause_samples=512, pad_samples=1000)

    assert finder.add(frames(0.9, 0.9, 0.0, 0.0, 0.0)) == []
    assert [part.span for part in finder.add(frames(0.0))] == [Span(0, 2024)]
    assert finder.earliest == 6 * 512 - 1000


def test_endless_speech_is_settled_window_by_window() -> None:
    finder = SpanFinder(limit_samples=100 * HOP_SAMPLES)
    settled = [len(finder.add(np.ones(50, np.float32))) for _ in range(40)]

    assert sum(settled) == 19
    assert max(settled) == 1
    assert finder.earliest > 1899 * HOP_SAMPLES


def test_a_part_says_where_its_voice_is() -> None:
    finder = SpanFinder(min_pause_samples=512, pad_samples=1000)

    (part,) = finder.finish(frames(0, 0, 0.4, 0.9, 0.4, 0.6, 0.4, 0, 0, 0), length_samples=5120)

    assert part == Part(span=Span(536, 4584), voiced=Span(1536, 3072))


def test_two_thresholds_keep_a_wavering_voice_together() -> None:
    spans = spans_of(frames(0.1, 0.9, 0.4, 0.6, 0.4, 0.4), length_samples=3000, pad_samples=0, min_pause_samples=512)

    assert spans == (Span(512, 3000),)


def test_neighbours_share_the_pause_between_them() -> None:
    spans = spans_of(frames(0.9, 0, 0, 0, 0, 0.9), length_samples=3072, pad_samples=2000, min_pause_samples=512)

    assert spans == (Span(0, 1536), Span(1536, 3072))


def test_silence_has_no_spans() -> None:
    assert spans_of(frames(0.1, 0.2), length_samples=1000) == ()


def test_speech_must_not_end_above_where_it_begins() -> None:
    with pytest.raises(ValueError, match=r"0\.6 > 0\.5"):
        spans_of(frames(0.1), length_samples=100, leave=0.6)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5)])
def test_a_span_runs_forward(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="runs forward"):
        Span(start, stop)
