from __future__ import annotations

import pytest
from faster_whisper.transcribe import get_compression_ratio
from hypothesis import given
from hypothesis import strategies as st

from transcriber.engines.ladder import Attempt, best, is_doubtful, is_silence
from transcriber.options import DecodingOptions

OPTIONS = DecodingOptions()
REPETITION = "one two " * 40


def attempt(*, text: str = "turn on the light", avg_logprob: float = -0.2, no_speech_prob: float = 0.0) -> Attempt:
    return Attempt(tokens=(1,), text=text, temperature=0.0, avg_logprob=avg_logprob, no_speech_prob=no_speech_prob)


@given(st.text(max_size=200))
def test_the_compression_ratio_is_the_references(text: str) -> None:
    assert attempt(text=text).compression_ratio == get_compression_ratio(text)


@pytest.mark.parametrize(
    ("tried", "doubtful", "silence"),
    [
        (attempt(), False, False),
        (attempt(text=REPETITION), True, False),
        (attempt(avg_logprob=-1.1), True, False),
        (attempt(avg_logprob=-1.1, no_speech_prob=0.7), False, True),
        (attempt(avg_logprob=-0.9, no_speech_prob=0.7), False, False),
        (attempt(text=REPETITION, no_speech_prob=0.7), True, False),
        (attempt(text=REPETITION, avg_logprob=-1.1, no_speech_prob=0.7), False, True),
        (attempt(avg_logprob=-1.0, no_speech_prob=0.7), False, True),
        (attempt(no_speech_prob=0.6), False, False),
    ],
    ids=lambda value: "" if isinstance(value, bool) else f"{value.avg_logprob} {value.no_speech_prob}",
)
def test_the_thresholds_decide_as_in_the_reference(tried: Attempt, doubtful: bool, silence: bool) -> None:
    assert is_doubtful(tried, OPTIONS) is doubtful
    assert is_silence(tried, OPTIONS) is silence


@given(
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.floats(-2, 0),
    st.floats(0, 1),
    st.sampled_from(["turn left", REPETITION]),
)
def test_a_threshold_of_none_switches_its_rule_off(
    compression: bool, log_prob: bool, no_speech: bool, avg_logprob: float, no_speech_prob: float, text: str
) -> None:
    """Checked against the conditions in faster-whisper's `generate_with_fallback` and `generate_segments`."""
    options = DecodingOptions(
        compression_ratio_threshold=2.4 if compression else None,
        log_prob_threshold=-1.0 if log_prob else None,
        no_speech_threshold=0.6 if no_speech else None,
    )
    tried = attempt(text=text, avg_logprob=avg_logprob, no_speech_prob=no_speech_prob)

    needs_fallback = False
    if options.compression_ratio_threshold is not None and tried.compression_ratio > 2.4:
        needs_fallback = True
    if options.log_prob_threshold is not None and avg_logprob < -1.0:
        needs_fallback = True
    if (
        options.no_speech_threshold is not None
        and no_speech_prob > 0.6
        and options.log_prob_threshold is not None
        and avg_logprob < -1.0
    ):
        needs_fallback = False
    should_skip = False
    if options.no_speech_threshold is not None:
        should_skip = no_speech_prob > 0.6
        if options.log_prob_threshold is not None and avg_logprob > -1.0:
            should_skip = False

    assert is_doubtful(tried, options) is needs_fallback
    assert is_silence(tried, options) is should_skip


def test_when_all_are_doubtful_the_most_probable_that_does_not_repeat_itself_is_kept() -> None:
    probable_repetition = attempt(text=REPETITION, avg_logprob=-0.1)
    improbable = attempt(avg_logprob=-1.5)
    less_improbable = attempt(avg_logprob=-1.2)

    assert best([probable_repetition, improbable, less_improbable], OPTIONS) is less_improbable
    assert best([probable_repetition], OPTIONS) is probable_repetition
