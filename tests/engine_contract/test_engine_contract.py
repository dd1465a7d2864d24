"""What every engine promises (`engines/base.py`), held against each engine that can run here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.conftest import DATA
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ
from transcriber.engines.base import Engine, Retry, Window, transcribe_batch
from transcriber.errors import UnsupportedOption
from transcriber.options import DecodingOptions, Task
from transcriber.transcript import Hypothesis

NAMES = ["whisper"]


@pytest.fixture(params=NAMES)
def any_engine(request: pytest.FixtureRequest) -> Engine[Any]:
    chosen: Engine[Any] = request.getfixturevalue({"whisper": "engine"}[request.param])
    return chosen


def windows() -> list[Window]:
    with (DATA / "en-one-phrase.wav").open("rb") as file:
        speech = decode(file, limit_s=60).samples()
    silence = np.zeros(2 * RATE_HZ, np.float32)
    plain = Window(samples=speech, start_sample=0, language="en", decoding=DecodingOptions())
    return [
        plain,
        replace(plain, samples=silence),
        replace(plain, start_sample=RATE_HZ // 2),
        replace(plain, samples=speech[:400]),
        replace(plain, samples=np.full(30 * RATE_HZ, np.nan, np.float32)),
    ]


def finish(engine: Engine[Any], works: list[Any]) -> list[Hypothesis]:
    return [
        finish(engine, [outcome.work])[0] if isinstance(outcome, Retry) else outcome
        for outcome in transcribe_batch(engine, works)
    ]


def test_as_many_outcomes_as_windows_in_the_same_order(any_engine: Engine[Any]) -> None:
    speech, silence, *_others = [any_engine.prepare(window) for window in windows()]
    there = finish(any_engine, [speech, silence, silence])
    back = finish(any_engine, [silence, silence, speech])

    assert [bool(h.segments) for h in there] == [True, False, False]
    assert there == back[::-1]


def test_windows_of_one_batch_do_not_change_each_other(any_engine: Engine[Any]) -> None:
    works = [any_engine.prepare(window) for window in windows()[:4]]

    assert finish(any_engine, works) == [finish(any_engine, [work])[0] for work in works]


def test_a_poisonous_window_does_not_hurt_its_neighbours(any_engine: Engine[Any]) -> None:
    speech, *_rest, poison = [any_engine.prepare(window) for window in windows()]
    alone = finish(any_engine, [speech])[0]
    with_poison = transcribe_batch(any_engine, [speech, poison, speech])

    assert with_poison[0] == with_poison[2] == alone


def test_the_largest_batch_that_is_promised_is_taken(any_engine: Engine[Any]) -> None:
    work = any_engine.prepare(windows()[0])
    outcomes = finish(any_engine, [work] * any_engine.capabilities.largest_batch)

    assert len(outcomes) == any_engine.capabilities.largest_batch
    assert len(set(map(repr, outcomes))) == 1


def test_hypotheses_keep_to_the_windows_clock(any_engine: Engine[Any]) -> None:
    for window in windows()[:4]:
        hypothesis = finish(any_engine, [any_engine.prepare(window)])[0]
        length_s = (len(window.samples) - window.start_sample) / RATE_HZ
        times = [time for segment in hypothesis.segments for time in (segment.start_s, segment.end_s)]

        assert times == sorted(times)
        assert all(0 <= time <= max(length_s, 1.0) + 0.05 for time in times)
        assert hypothesis.consumed_s > 0
        assert hypothesis.has_speech == bool(hypothesis.segments)
        assert (hypothesis.language is None) or hypothesis.has_speech


def test_keys_can_be_compared_and_equal_windows_have_equal_keys(any_engine: Engine[Any]) -> None:
    first, second = any_engine.prepare(windows()[0]), any_engine.prepare(windows()[0])

    assert any_engine.batch_key(first) == any_engine.batch_key(second)
    assert len({any_engine.batch_key(first), any_engine.batch_key(second)}) == 1


def test_what_is_not_among_the_capabilities_is_refused_by_name(any_engine: Engine[Any]) -> None:
    able = any_engine.capabilities
    narrow = replace(
        able,
        word_timestamps=False,
        tasks=frozenset({Task.TRANSCRIBE}),
        languages=frozenset({"en"}),
        detects_language=False,
    )
    for decoding, language, says in (
        (DecodingOptions(task=Task.TRANSLATE), "en", "translate"),
        (DecodingOptions(word_timestamps=True), "en", "word"),
        (DecodingOptions(), "fr", "'fr'"),
        (DecodingOptions(), None, "language"),
    ):
        with pytest.raises(UnsupportedOption, match=says) as refusal:
            narrow.refuse(decoding, language)
        assert able.name in refusal.value.message
    narrow.refuse(DecodingOptions(), "en")
