from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

from scripts import make_speech_model
from tests.conftest import ROOT
from tests.vad.voices import recording
from transcriber.audio.waveform import Waveform
from transcriber.vad.spans import HOP_SAMPLES, Probabilities, Span, spans_of
from transcriber.vad.speech import BLOCK_FRAMES, MODEL_FILE, SpeechDetector

BLOCK = BLOCK_FRAMES * HOP_SAMPLES

LAST_DIGITS = 5e-5
"""Seen: 6e-6 at most, in the recordings of the tests and in forty noises. The thresholds are 0.5 and 0.35."""

LENGTHS = [0, 1, 447, 448, 449, 511, 512, 513, 1024, 16_000]
LENGTHS += [blocks * BLOCK + near for blocks in (1, 2) for near in (-512, -1, 0, 1, 449, 511, 512)]

RECORDINGS = [
    path
    for path in sorted((Path(__file__).resolve().parents[1] / "data").iterdir())
    if path.suffix in {".wav", ".flac"}
]


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


@pytest.fixture(scope="module")
def speech() -> Waveform:
    return recording(1.0, 6.0, 0.5, 4.0, 3.0, 9.0, 0.2, 5.0)


def upstream(waveform: Waveform) -> Probabilities:
    """Run faster-whisper's model on the whole recording, as its `get_speech_timestamps` does."""
    silence = HOP_SAMPLES - len(waveform) % HOP_SAMPLES
    probabilities: Probabilities = get_vad_model()(np.pad(waveform.samples(), (0, silence)))
    return probabilities


def are_equal(ours: Probabilities, theirs: Probabilities) -> bool:
    """But for the last digits of a float: sums of the same numbers in another order."""
    return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=0, atol=LAST_DIGITS)


@pytest.mark.parametrize("length", LENGTHS)
def test_equal_to_faster_whisper(detector: SpeechDetector, speech: Waveform, length: int) -> None:
    waveform = Waveform(pcm=speech.pcm[len(speech) - length :])

    assert are_equal(detector.probabilities_of(waveform), upstream(waveform))


@pytest.mark.parametrize("loudness", [0, 1, 100, 32_767])
def test_equal_to_faster_whisper_in_noise_of_any_loudness(detector: SpeechDetector, loudness: int) -> None:
    chance = np.random.default_rng(loudness)
    waveform = Waveform(pcm=chance.integers(-loudness, loudness + 1, 300_000).astype(np.int16))

    assert are_equal(detector.probabilities_of(waveform), upstream(waveform))


def test_the_model_is_the_one_that_its_script_writes() -> None:
    assert make_speech_model.rewritten().SerializeToString(deterministic=True) == MODEL_FILE.read_bytes()


@pytest.mark.parametrize("sizes", [[1], [511, 513, 7], [512], [160_000], [100_000, 3, 0]], ids=str)
def test_however_the_samples_are_dealt_out(detector: SpeechDetector, speech: Waveform, sizes: list[int]) -> None:
    pcm = speech.pcm[: 700 if sizes == [1] else 24_000 if sizes[0] < 1000 else len(speech)]
    hearing = detector.listen()
    heard, position = [], 0
    for size in itertools.cycle(sizes):
        heard.append(hearing.add(pcm[position : position + size]))
        position += size
        if position >= len(pcm):
            break

    assert are_equal(np.concatenate([*heard, hearing.finish()]), upstream(Waveform(pcm=pcm)))


def test_finds_speech_where_it_is(detector: SpeechDetector) -> None:
    waveform = recording(2.0, 3.0, 2.0, 4.0, 2.0, seed=1)

    spans = spans_of(detector.probabilities_of(waveform), length_samples=len(waveform), min_pause_samples=16_000)

    assert [(round(span.start / 16_000), round(span.stop / 16_000)) for span in spans] == [(2, 5), (7, 11)]


def test_finds_no_speech_in_silence_and_noise(detector: SpeechDetector) -> None:
    waveform = recording(5.0)

    assert spans_of(detector.probabilities_of(waveform), length_samples=len(waveform)) == ()


def test_one_detector_serves_many_threads(detector: SpeechDetector) -> None:
    waveforms = [recording(0.5, 2.0 + seed, 1.0, seed=seed) for seed in range(4)]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(detector.probabilities_of, waveforms * 2))

    for probabilities, waveform in zip(together, waveforms * 2, strict=True):
        assert are_equal(probabilities, upstream(waveform))


MEASURE = """
import sys, tracemalloc
import numpy as np
from transcriber.audio.waveform import Waveform
from transcriber.vad.speech import SpeechDetector

detector = SpeechDetector()
detector.probabilities_of(Waveform(pcm=np.zeros(16_000, np.int16)))
two_minutes = Waveform(pcm=np.zeros(120 * 16_000, np.int16))
tracemalloc.start()
detector.probabilities_of(two_minutes)
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_recording() -> None:
    """In a process of its own: what other threads of the tests allocate is traced too."""
    measured = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)

    assert int(measured.stdout) < 4 * 1024 * 1024  # as floats it would be 7.7 MB, cut into rows 8.6 MB more


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_same_speech_as_faster_whisper_in_a_real_recording(detector: SpeechDetector, path: Path) -> None:
    audio = decode_audio(str(path))
    waveform = Waveform(pcm=(audio * 32768).astype(np.int16))
    expected = get_speech_timestamps(audio, VadOptions(min_silence_duration_ms=160))

    spans = spans_of(detector.probabilities_of(waveform), length_samples=len(waveform))

    assert spans == tuple(Span(span["start"], span["end"]) for span in expected)
