from __future__ import annotations

import math
from itertools import accumulate, pairwise

import numpy as np
import pytest
from faster_whisper.vad import SpeechTimestampsMap
from hypothesis import given
from hypothesis import strategies as st

from tests.vad.voices import conversation
from transcriber.audio.waveform import RATE_HZ, Waveform
from transcriber.vad.spans import HOP_SAMPLES, Part, Probabilities, Span, parts_of, spans_of
from transcriber.vad.windows import (
    HORIZON_WINDOWS,
    WIDE_PAUSE_SAMPLES,
    WINDOW_COST_SAMPLES,
    Packer,
    Passage,
    passages_of,
)

WINDOW = 30 * RATE_HZ


def joined(spans: tuple[Span, ...]) -> Passage:
    return Passage(spans=spans)


def whole(length: int) -> Passage:
    return Passage(spans=(Span(0, length),))


@st.composite
def spans(draw: st.DrawFn, longest: int = 5000) -> tuple[Span, ...]:
    """Spans with silences between them, some of nothing."""
    steps = draw(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, longest)), min_size=1, max_size=20))
    position, found = 0, []
    for silence, length in steps:
        found.append(Span(position + silence, position + silence + length))
        position += silence + length
    return tuple(found)


probabilities = st.lists(st.sampled_from([0.1, 0.4, 0.6, 0.9]), max_size=300).map(
    lambda levels: np.array(levels, np.float32)
)


def covered(spans: tuple[Span, ...]) -> list[int]:
    """List every sample, so that nothing can be lost, doubled or out of order."""
    return [sample for span in spans for sample in range(span.start, span.stop)]


def speech(*lengths_s: float, pause_s: float = 1.0) -> tuple[tuple[Span, ...], Probabilities]:
    """Make spans of these lengths with equal pauses before each, and probabilities to match."""
    position, found = 0, []
    for length_s in lengths_s:
        position += round(pause_s * RATE_HZ)
        found.append(Span(position, position + round(length_s * RATE_HZ)))
        position = found[-1].stop
    levels = np.zeros(position // HOP_SAMPLES + 1, np.float32)
    for span in found:
        levels[span.start // HOP_SAMPLES : span.stop // HOP_SAMPLES] = 0.9
    return tuple(found), levels


def lengths_s(passages: tuple[Passage, ...]) -> list[float]:
    return [len(passage) / RATE_HZ for passage in passages]


@given(spans(), probabilities, st.integers(200, 12_000))
def test_every_sample_comes_to_be_in_exactly_one_passage(
    spans: tuple[Span, ...], probabilities: Probabilities, limit: int
) -> None:
    passages = passages_of(spans, probabilities, limit_samples=limit)

    assert covered(tuple(span for passage in passages for span in passage.spans)) == covered(spans)
    assert sum(map(len, passages)) == sum(map(len, spans))
    assert max(map(len, passages)) <= limit


@given(spans(), probabilities, st.integers(5000, 20_000))
def test_a_span_that_fits_a_window_is_not_cut(
    spans: tuple[Span, ...], probabilities: Probabilities, limit: int
) -> None:
    passages = passages_of(spans, probabilities, limit_samples=limit)

    assert tuple(span for passage in passages for span in passage.spans) == spans


@given(spans(), probabilities, st.integers(5000, 20_000))
def test_a_passage_is_two_thirds_full_unless_nothing_more_fits(
    spans: tuple[Span, ...], probabilities: Probabilities, limit: int
) -> None:
    passages = passages_of(spans, probabilities, limit_samples=limit)

    for passage, following in pairwise(passages):
        assert 3 * len(passage) >= 2 * limit or len(passage) + len(following.spans[0]) > limit


@given(spans(), probabilities, st.integers(200, 12_000))
def test_the_same_speech_is_always_cut_alike(spans: tuple[Span, ...], probabilities: Probabilities, limit: int) -> None:
    again = passages_of(list(spans), probabilities.copy(), limit_samples=limit)

    assert passages_of(spans, probabilities, limit_samples=limit) == again


def test_what_fits_one_window_is_one_passage() -> None:
    found, levels = speech(5, 10, 15)

    assert passages_of(found, levels, limit_samples=WINDOW) == (joined(found),)


def test_no_speech_makes_no_passages() -> None:
    assert passages_of((), np.zeros(100, np.float32), limit_samples=WINDOW) == ()


def test_the_widest_pause_is_where_it_is_cut() -> None:
    """The pauses are hidden in the padding: the spans of running speech touch."""
    levels = np.full(1100, 0.9, np.float32)
    levels[700:720] = levels[800:806] = levels[900:912] = 0.1
    found = spans_of(levels, length_samples=len(levels) * HOP_SAMPLES)

    passages = passages_of(found, levels, limit_samples=WINDOW)

    assert [passage.spans[-1].stop for passage in passages] == [710 * HOP_SAMPLES, 1100 * HOP_SAMPLES]


def test_a_wide_pause_early_in_a_window_is_no_reason_to_cut() -> None:
    """A first window of one word would be a poor place to detect the language."""
    found, levels = speech(1, 12, 12, 12)

    assert lengths_s(passages_of(found, levels, limit_samples=WINDOW)) == [25, 12]


def test_long_speech_is_cut_where_the_last_third_of_the_window_is_quietest() -> None:
    levels = np.full(1500, 0.9, np.float32)
    levels[[100, 700, 800]] = [0.1, 0.6, 0.5]
    length = len(levels) * HOP_SAMPLES

    first, second = passages_of((Span(0, length),), levels, limit_samples=WINDOW)

    assert first.spans == (Span(0, 800 * HOP_SAMPLES + HOP_SAMPLES // 2),)
    assert second.spans == (Span(800 * HOP_SAMPLES + HOP_SAMPLES // 2, length),)


def test_speech_without_any_quiet_fills_its_windows() -> None:
    levels = np.ones(2000, np.float32)

    passages = passages_of((Span(0, 2000 * HOP_SAMPLES),), levels, limit_samples=WINDOW)

    assert len(passages) == 3
    assert all(len(passage) > WINDOW - HOP_SAMPLES for passage in passages[:-1])


@pytest.mark.parametrize("rest_s", [0.35, 0.6, 1.5], ids=["read aloud", "talk", "telephone"])
def test_cutting_at_the_ends_of_sentences_costs_few_windows(rest_s: float) -> None:
    """Compared with filling each window as far as it goes; WINDOW_COST_SAMPLES was chosen on more of the same."""
    rng = np.random.default_rng(0)
    ours = fullest = cuts = good_cuts = 0
    for _ in range(4):
        levels, between = conversation(1800, breath_s=0.13, rest_s=rest_s, rng=rng)
        found = spans_of(levels, length_samples=len(levels) * HOP_SAMPLES)
        passages = passages_of(found, levels, limit_samples=WINDOW)
        ours += len(passages)
        fullest += count_fullest(found)
        places = [(a.spans[-1].stop + b.spans[0].start) // 2 // HOP_SAMPLES for a, b in pairwise(passages)]
        cuts += len(places)
        good_cuts += sum(bool(between[place]) for place in places)

    assert ours <= 1.025 * fullest
    assert good_cuts >= 0.7 * cuts


@pytest.mark.parametrize("rest_s", [0.35, 0.6, 1.5], ids=["read aloud", "talk", "telephone"])
def test_speech_shorter_than_the_horizon_is_cut_as_if_all_of_it_were_known(rest_s: float) -> None:
    """And with a horizon without end, an hour is too: what is settled early is what would be chosen in the end."""
    rng = np.random.default_rng(2)
    for duration_s, horizon in [(100, HORIZON_WINDOWS)] * 20 + [(1800, math.inf)]:
        levels, _ = conversation(duration_s, breath_s=0.13, rest_s=rest_s, rng=rng)
        found = spans_of(levels, length_samples=len(levels) * HOP_SAMPLES)
        parts = [part for s in found for part in parts_of(s, levels, limit_samples=WINDOW, hop_samples=HOP_SAMPLES)]
        packer = Packer(limit_samples=WINDOW, horizon_windows=horizon)
        one_by_one = [packed for part in parts for packed in packer.add([part])]

        assert len(one_by_one) > 0 or duration_s == 100
        assert one_by_one + packer.finish() == best_packing(parts)


def best_packing(parts: list[Part]) -> list[tuple[Part, ...]]:
    """Find the cheapest cuts with everything known, the plain way."""
    costs, ways = [0.0], [[]]
    ends = [0, *accumulate(map(len, parts))]
    for stop in range(1, len(parts) + 1):
        best, way = math.inf, []
        for first in range(stop):
            length, is_last = ends[stop] - ends[first], stop == len(parts)
            is_cut = is_last or 3 * length >= 2 * WINDOW or ends[stop + 1] - ends[first] > WINDOW
            pause = 0 if is_last else parts[stop].voiced.start - parts[stop - 1].voiced.stop
            cost = costs[first] + WINDOW_COST_SAMPLES - min(pause, WIDE_PAUSE_SAMPLES)
            if length <= WINDOW and is_cut and cost < best:
                best, way = cost, [*ways[first], tuple(parts[first:stop])]
        costs.append(best)
        ways.append(way)
    return ways[-1]


@given(spans(), probabilities, st.integers(5000, 20_000))
def test_no_more_waits_than_the_horizon(spans: tuple[Span, ...], probabilities: Probabilities, limit: int) -> None:
    packer = Packer(limit_samples=limit, horizon_windows=2)
    waiting = 0
    for span in spans:
        part = Part(span=span, voiced=span)
        waiting += len(span) - sum(len(packed) for parts in packer.add([part]) for packed in parts)

        assert waiting <= 2 * limit


def count_fullest(found: tuple[Span, ...]) -> int:
    windows, room = 0, 0
    for span in found:
        if len(span) > room:
            windows, room = windows + 1, WINDOW
        room -= len(span)
    return windows


def test_a_passage_joins_at_least_one_span() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Passage(spans=())


def test_the_spans_of_a_passage_follow_each_other() -> None:
    with pytest.raises(ValueError, match="does not follow"):
        Passage(spans=(Span(0, 10), Span(9, 20)))


def test_the_whole_recording_is_a_passage_on_its_own_clock() -> None:
    passage = whole(5 * RATE_HZ)

    assert len(passage) == 5 * RATE_HZ
    assert passage.to_clock(3.21) == 3.21


@given(spans(), st.data())
def test_samples_are_those_of_the_recording(spans: tuple[Span, ...], data: st.DataObject) -> None:
    passage = joined(spans)
    waveform = Waveform(pcm=np.arange(spans[-1].stop + 10).astype(np.int16))
    start = data.draw(st.integers(0, len(passage) - 1))
    stop = data.draw(st.integers(start + 1, len(passage)))

    samples = passage.samples(waveform, start, stop)

    assert np.array_equal(samples, waveform.samples()[covered(spans)[start:stop]])
    assert samples.dtype == np.float32
    assert samples.flags.c_contiguous
    assert samples.flags.owndata


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (0, 11)])
def test_samples_beyond_the_passage_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="10 samples"):
        whole(10).samples(Waveform(pcm=np.zeros(10, np.int16)), start, stop)


@given(spans(), st.data(), st.booleans())
def test_clock_is_faster_whispers(spans: tuple[Span, ...], data: st.DataObject, is_end: bool) -> None:
    passage = joined(spans)
    sample = data.draw(st.integers(0, len(passage)) | st.sampled_from(passage._ends))
    # A quarter beyond the sample: upstream truncates to samples, which must not depend on the last bit of a float.
    position_s = (sample + 0.25) / RATE_HZ if sample < len(passage) else sample / RATE_HZ
    upstream = SpeechTimestampsMap([{"start": span.start, "end": span.stop} for span in spans], RATE_HZ, 9)

    assert passage.to_clock(position_s, is_end=is_end) == pytest.approx(
        upstream.get_original_time(position_s, is_end=is_end), abs=2e-9
    )


@given(spans(), st.lists(st.floats(-1, 10), min_size=2), st.booleans())
def test_clock_never_runs_backwards(spans: tuple[Span, ...], positions_s: list[float], is_end: bool) -> None:
    passage = joined(spans)

    times = [passage.to_clock(position_s, is_end=is_end) for position_s in sorted(positions_s)]

    assert times == sorted(times)
    assert times[0] >= spans[0].start / RATE_HZ
    assert times[-1] <= spans[-1].stop / RATE_HZ + 1e-9


@given(spans())
def test_at_a_border_an_end_is_early_and_a_start_is_late(spans: tuple[Span, ...]) -> None:
    passage = joined(spans)

    for end, span, following in zip(passage._ends, spans, spans[1:], strict=False):
        assert passage.to_clock(end / RATE_HZ, is_end=True) == pytest.approx(span.stop / RATE_HZ)
        assert passage.to_clock(end / RATE_HZ) == pytest.approx(following.start / RATE_HZ)
