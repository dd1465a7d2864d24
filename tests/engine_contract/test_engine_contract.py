"""What every engine promises (`engines/base.py`), held against each engine that can run here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.conftest import DATA
from transcriber.audio.decode import decode
from transcriber.audio.waveform import RATE_HZ
from transcriber.engines.base import PLAIN, Engine, Retry, Window, transcribe_batch
from transcriber.errors import UnsupportedOption
from transcriber.options import DecodingOptions, Task
from transcriber.transcript import Hypothesis

FIXTURES = {"whisper": "engine", "parakeet": "parakeet", "voxtral": "voxtral"}


@pytest.fixture(params=FIXTURES)
def any_engine(request: pytest.FixtureRequest) -> Engine[Any]:
    chosen: Engine[Any] = request.getfixturevalue(FIXTURES[request.param])
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


CHOICES: dict[str, tuple[dict[str, Any], bool]] = {
    "beam_size": ({"beam_size": 3}, False),
    "temperature": ({"temperatures": (0.0, 0.5)}, False),
    "initial_prompt": ({"initial_prompt": "one"}, False),
    "hotwords": ({"hotwords": "one"}, False),
    "condition_on_previous_text": ({}, True),
    "compression_ratio_threshold": ({"compression_ratio_threshold": 2.0}, False),
    "log_prob_threshold": ({"log_prob_threshold": -0.5}, False),
    "no_speech_threshold": ({"no_speech_threshold": 0.1}, False),
}
"""A value of each option that asks something of the engine."""


def test_an_option_is_heeded_or_refused_by_name(any_engine: Engine[Any]) -> None:
    able = any_engine.capabilities

    assert CHOICES.keys() == PLAIN.keys()
    for option, (changes, with_context) in CHOICES.items():
        for heeding in (able, replace(able, heeds=frozenset(PLAIN)), replace(able, heeds=frozenset())):
            if option in heeding.heeds:
                heeding.refuse(DecodingOptions(**changes), "en", with_context=with_context)
                continue
            with pytest.raises(UnsupportedOption) as refusal:
                heeding.refuse(DecodingOptions(**changes), "en", with_context=with_context)
            assert refusal.value.message == f"{option} is not something {able.name} can heed; leave it out"


def test_what_asks_nothing_of_an_engine_is_not_refused(any_engine: Engine[Any]) -> None:
    unable = replace(any_engine.capabilities, heeds=frozenset())

    unable.refuse(DecodingOptions(), "en")
    unable.refuse(DecodingOptions(beam_size=1, temperatures=(0.0,), log_prob_threshold=None), "en")


def test_every_path_can_be_warmed_up_and_leaves_the_engine_as_it_was(any_engine: Engine[Any]) -> None:
    before = any_engine.capabilities
    any_engine.warm_up()

    assert any_engine.capabilities == before
