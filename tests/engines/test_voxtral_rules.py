from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.waveform import RATE_HZ
from transcriber.engines import voxtral_rules as rules
from transcriber.engines.voxtral_rules import LONGEST_WINDOW_S, Shape
from transcriber.errors import UnsupportedOption
from transcriber.options import DecodingOptions, Task
from transcriber.stitching import MIN_TAIL_S

MINI = Shape(
    layers=30, key_heads=8, head_width=128, vocabulary=131072, encoder_heads=20, encoder_width=1280, float_bytes=2
)
"""Voxtral-Mini-3B-2507 in bfloat16."""

GIGABYTE = 10**9


@pytest.mark.parametrize(
    ("decoding", "language", "sentence"),
    [
        (DecodingOptions(task=Task.TRANSLATE), None, "task translate is not something Voxtral can do"),
        (DecodingOptions(word_timestamps=True), None, "Voxtral gives no word timestamps"),
        (DecodingOptions(), "zh", "Voxtral does not know the language 'zh'; it knows de, en, es, fr, hi, it, nl, pt"),
        (DecodingOptions(beam_size=3), "en", "beam_size is not something Voxtral can heed"),
        (DecodingOptions(initial_prompt="So"), "en", "initial_prompt is not something Voxtral can heed"),
        (DecodingOptions(hotwords="kitchen"), "en", "hotwords is not something Voxtral can heed"),
        (DecodingOptions(no_speech_threshold=0.1), "en", "no_speech_threshold is not something Voxtral can heed"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_sentence(
    decoding: DecodingOptions, language: str | None, sentence: str
) -> None:
    with pytest.raises(UnsupportedOption) as refusal:
        rules.capabilities(largest_batch=1, replicas=1).refuse(decoding, language)

    assert refusal.value.message.startswith(sentence)


def test_text_before_a_window_is_refused() -> None:
    with pytest.raises(UnsupportedOption, match="condition_on_previous_text is not something Voxtral can heed"):
        rules.capabilities(largest_batch=1, replicas=1).refuse(DecodingOptions(), "en", with_context=True)


@pytest.mark.parametrize("language", [None, "hi", "en"])
@pytest.mark.parametrize("temperatures", [(0.0,), (0.7,), DecodingOptions().temperatures])
def test_any_temperature_and_no_language_may_be_asked_for(
    language: str | None, temperatures: tuple[float, ...]
) -> None:
    able = rules.capabilities(largest_batch=1, replicas=1)

    able.refuse(DecodingOptions(temperatures=temperatures), language)


@given(st.floats(0, LONGEST_WINDOW_S), st.floats(0, LONGEST_WINDOW_S))
def test_more_sound_may_have_more_text(one_s: float, other_s: float) -> None:
    shorter, longer = sorted((one_s, other_s))

    assert rules.TOKENS_ASIDE <= rules.most_tokens(shorter) <= rules.most_tokens(longer) <= 482


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros(RATE_HZ, np.float32), True),
        (np.full(RATE_HZ, 0.9 * rules.SILENCE, np.float32), True),
        (np.full(RATE_HZ, np.nan, np.float32), True),
        (np.array([0.5, np.inf], np.float32), True),
        (np.zeros(0, np.float32), True),
        (np.array([0.0, -rules.SILENCE], np.float32), False),
    ],
    ids=["nothing", "too soft", "no numbers", "beyond numbers", "no samples", "one click"],
)
def test_silence_is_what_nobody_can_hear(samples: np.ndarray, expected: bool) -> None:
    assert rules.is_silence(samples) == expected


@given(st.integers(1, round(LONGEST_WINDOW_S * RATE_HZ) - 1))
def test_a_passage_that_has_ended_is_read_to_its_end(length: int) -> None:
    samples = np.ones(length, np.float32)

    assert rules.readable(samples) is samples


@given(st.floats(25.2, 29.6))
def test_a_window_that_is_full_is_read_to_a_pause(pause_s: float) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, round(LONGEST_WINDOW_S * RATE_HZ)).astype(np.float32)
    pause = slice(round((pause_s - 0.1) * RATE_HZ), round((pause_s + 0.1) * RATE_HZ))
    samples[pause] = 0
    read = rules.readable(samples)

    assert pause.start <= len(read) <= pause.stop
    assert np.shares_memory(read, samples)


@given(st.integers(0, 2**32 - 1))
def test_what_a_full_window_leaves_is_enough_for_a_window_of_its_own(seed: int) -> None:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, round(LONGEST_WINDOW_S * RATE_HZ)).astype(np.float32)
    left_s = (len(samples) - len(rules.readable(samples))) / RATE_HZ

    assert MIN_TAIL_S < left_s <= rules.SEARCH_S


def test_a_text_stands_over_all_that_was_read() -> None:
    said = rules.hypothesis(" Hello. ", tokens=(7, 8), length_s=4.5, language="en", temperature=0.0)
    (segment,) = said.segments

    assert (segment.start_s, segment.end_s, segment.text, segment.tokens) == (0.0, 4.5, " Hello.", (7, 8))
    assert (said.language, said.language_probability, said.consumed_s) == ("en", 1.0, 4.5)
    assert segment.words is None
    assert said.has_speech


def test_a_language_that_nobody_named_is_not_made_up() -> None:
    said = rules.hypothesis("Hello.", tokens=(7,), length_s=4.5, language=None, temperature=0.0)

    assert (said.language, said.language_probability) == (None, 0.0)


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_text_is_no_speech(text: str) -> None:
    said = rules.hypothesis(text, tokens=(), length_s=4.5, language="en", temperature=0.0)

    assert (said.segments, said.has_speech, said.language, said.consumed_s) == ((), False, None, 4.5)


def test_a_text_that_repeats_itself_shows_it() -> None:
    looped = rules.hypothesis("so we go " * 50, tokens=(), length_s=30, language=None, temperature=0.0)

    assert looped.segments[0].compression_ratio > 2.4


@pytest.mark.parametrize(("room_gb", "expected"), [(0, 1), (2, 5), (6, 28), (13, 48), (100, 48)])
def test_a_batch_is_as_large_as_the_memory_that_is_free(room_gb: int, expected: int) -> None:
    """6 GB are about what the weights leave of a T4, 13 GB of an L4."""
    assert rules.windows_on_cuda(MINI, room_bytes=room_gb * GIGABYTE) == expected


@pytest.mark.parametrize(
    ("error", "out_of_memory", "fatal"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 14 GiB"), True, False),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, False),
        (MemoryError(), True, False),
        (RuntimeError("CUDA error: device-side assert triggered\nTo allocate blame, compile with ..."), False, True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"), False, False),
        (RuntimeError(), False, False),
    ],
)
def test_faults_of_the_device_are_told_apart(
    error: RuntimeError | MemoryError, out_of_memory: bool, fatal: bool
) -> None:
    fault = rules.device_fault(error)

    assert (fault.out_of_memory, fault.fatal) == (out_of_memory, fatal)
    assert "\n" not in fault.message
