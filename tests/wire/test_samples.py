from __future__ import annotations

import io
import json
import subprocess
import sys
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.wire.foreign import DEFAULTS, parse
from transcriber.audio.decode import decode
from transcriber.audio.sources import InlineBytes
from transcriber.errors import MalformedRequest, NotAudio, TooLarge, TranscriberError
from transcriber.wire import json_body, json_object, samples

Rates = st.integers(1_000, 768_000)


def wav(body: object) -> wave.Wave_read:
    source = parse({"audio_input": body}).source
    assert isinstance(source, InlineBytes)
    return wave.open(io.BytesIO(source.data))


@given(st.lists(st.integers(-32768, 32767), min_size=1), Rates)
def test_whole_numbers_come_back_out_of_the_file(numbers: list[int], rate_hz: int) -> None:
    for raw in (numbers, str(numbers), json.dumps(numbers)):
        with wav({"raw": raw, "sampling_rate": rate_hz}) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate_hz)
            assert np.frombuffer(file.readframes(len(numbers) + 1), "<i2").tolist() == numbers


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_floats_are_of_full_scale_one(numbers: list[float]) -> None:
    source = parse({"inputs": {"array": numbers, "sampling_rate": 16_000}}).source
    assert isinstance(source, InlineBytes)

    heard = decode(io.BytesIO(source.data), limit_s=1.0)

    expected = np.clip(np.array(numbers) * 32768, -32768, 32767)
    assert np.abs(heard.pcm - expected).max() <= 1


def test_a_list_alone_is_at_16_khz() -> None:
    with wav([0, 1, -3]) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 3)


@pytest.mark.parametrize(
    ("body", "failure", "words"),
    [
        ([], NotAudio, ("'audio_input' has no samples",)),
        ({"raw": "[]", "sampling_rate": 16000}, NotAudio, ("'audio_input.raw' has no samples",)),
        ([0, "a"], MalformedRequest, ("'audio_input' has \"a\" in place 1", "-32768 to 32767")),
        ([0, True], MalformedRequest, ("has true in place 1",)),
        ([0, None], MalformedRequest, ("has null in place 1",)),
        ([[0], [1]], MalformedRequest, ("has [0] in place 0",)),
        ([0, 32768], MalformedRequest, ("has 32768 in place 1",)),
        ([0, 10**400], MalformedRequest, ("in place 1",)),
        ([0.0, 1.5], MalformedRequest, ("has 1.5 in place 1", "-1.0 to 1.0")),
        ([0.5, 300], MalformedRequest, ("has 300 in place 1",)),
        ({"raw": [0]}, MalformedRequest, ("'audio_input.sampling_rate' is missing", "1,000 to 768,000")),
        ({"raw": [0], "sampling_rate": 10}, MalformedRequest, ("'audio_input.sampling_rate' is 10",)),
        ({"raw": [0], "sampling_rate": 16000.5}, MalformedRequest, ("'audio_input.sampling_rate' is 16000.5",)),
        ({"raw": 5, "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw' is 5", "list")),
        ({"raw": "0, 1", "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw'", "[0, 1, -3]")),
        ({"raw": "[0, ..., 1]", "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw'", "none left out")),
        ({"raw": "[" * 50_000, "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw'",)),
        ({"raw": "[NaN]", "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw'",)),
        ({"raw": "[1e999]", "sampling_rate": 16000}, MalformedRequest, ("'audio_input.raw' has",)),
        ({"sampling_rate": 16000}, MalformedRequest, ("'audio_input'", "'raw'")),
        ({"raw": [0], "array": [0], "sampling_rate": 16000}, MalformedRequest, ("'audio_input'", "'raw'")),
        ({"raw": [0], "sampling_rate": 16000, "rate": 1}, MalformedRequest, ("'audio_input.rate'",)),
    ],
)
def test_what_is_no_list_of_samples_is_refused(
    body: object, failure: type[TranscriberError], words: tuple[str, ...]
) -> None:
    with pytest.raises(TranscriberError) as refusal:
        parse({"audio_input": body})

    assert type(refusal.value) is failure
    assert [word for word in words if word not in refusal.value.message] == []
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < 300


@pytest.mark.parametrize("item", [b"0,", b"[],", b"{},", b"[", b'{"":'])
def test_a_body_of_more_values_than_fit_is_refused_before_it_is_read(item: bytes) -> None:
    body = b'{"audio_input": [' + item * (json_object.MOST_VALUES + 1)

    with pytest.raises(TooLarge, match="4,000,000"):
        json_body.parse(body, defaults=DEFAULTS, accept=None)


def test_samples_are_taken_by_name_too() -> None:
    assert set(samples.SampleFields.model_fields) == {"raw", "array", "sampling_rate"}


MEASURE = """
import sys, tracemalloc
from transcriber.wire import json_body
from transcriber.wire.job import Defaults

body = sys.stdin.buffer.read()
defaults = Defaults(vad_filter=True, return_segments=True)
tracemalloc.start()
json_body.parse(body, defaults=defaults, accept=None)
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize(
    ("body", "times"),
    [
        (b'{"audio_input": "' + b"52" * 1_000_000 + b'"}', 3),
        (b'{"audio_input": [' + b"-12345," * 200_000 + b"0]}", 8),
    ],
    ids=["digits", "samples"],
)
def test_memory_stays_within_a_few_times_the_body(body: bytes, times: int) -> None:
    """In a process of its own: what other threads of the tests allocate is traced too."""
    measured = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, input=body, capture_output=True, check=True)

    assert int(measured.stdout) < times * len(body)
