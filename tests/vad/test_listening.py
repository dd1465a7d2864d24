from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.vad.voices import recording
from transcriber.audio.waveform import RATE_HZ, Pcm, Waveform
from transcriber.vad.listening import Listener
from transcriber.vad.spans import Span, spans_of
from transcriber.vad.speech import SpeechDetector
from transcriber.vad.tape import Tape
from transcriber.vad.windows import Passage, passages_of

LIMIT = 8 * RATE_HZ
SPEECH = recording(1.0, 6.0, 0.5, 4.0, 3.0, 9.0, 0.2, 5.0, 2.0, 1.5, 1.0)
BLOCKS = [100, 16_000, 50_000, 160_000, 10**9]


@pytest.fixture(scope="module")
def detector() -> SpeechDetector:
    return SpeechDetector()


@pytest.fixture
def listener(detector: SpeechDetector) -> Listener:
    ticks = iter(range(10**9))
    return Listener(detector=detector, limit_samples=LIMIT, clock=lambda: float(next(ticks)))


def blocks(waveform: Waveform, length: int) -> Iterator[Pcm]:
    for start in range(0, len(waveform), length):
        yield waveform.pcm[start : start + length]


def content(tapes: list[Tape]) -> list[tuple[Passage, bytes]]:
    assert all(tape.is_complete for tape in tapes)
    return [(tape.passage(len(tape)), tape.samples(0, len(tape)).tobytes()) for tape in tapes]


@pytest.mark.parametrize("length", BLOCKS[1:])
def test_passages_are_those_of_the_whole_recording(listener: Listener, detector: SpeechDetector, length: int) -> None:
    probabilities = detector.probabilities_of(SPEECH)
    spans = spans_of(probabilities, length_samples=len(SPEECH))
    expected = passages_of(spans, probabilities, limit_samples=LIMIT)

    tapes = [tape for step in listener.passages(blocks(SPEECH, length)) for tape in step]

    assert len(expected) > 3
    assert content(tapes) == [(p, p.samples(SPEECH, 0, len(p)).tobytes()) for p in expected]
    assert listener.heard.audio_s == SPEECH.duration_s
    assert listener.heard.speech_s == sum(map(len, spans)) / RATE_HZ


@pytest.mark.parametrize("length", BLOCKS[1:])
def test_speech_in_order_is_all_of_it_on_one_tape(listener: Listener, detector: SpeechDetector, length: int) -> None:
    probabilities = detector.probabilities_of(SPEECH)
    speech = Passage(spans=spans_of(probabilities, length_samples=len(SPEECH)))

    (tape,) = [tape for step in listener.speech_in_order(blocks(SPEECH, length)) for tape in step]

    assert tape.is_complete
    assert np.array_equal(tape.samples(0, len(tape)), speech.samples(SPEECH, 0, len(speech)))
    passage = tape.passage(len(tape))
    for second in range(int(len(passage) / RATE_HZ)):
        assert passage.to_clock(second + 0.5) == speech.to_clock(second + 0.5)


@pytest.mark.parametrize("length", BLOCKS)
def test_everything_in_order_is_the_recording_itself(listener: Listener, length: int) -> None:
    (tape,) = [tape for step in listener.everything_in_order(blocks(SPEECH, length)) for tape in step]

    assert np.array_equal(tape.samples(0, len(tape)), SPEECH.samples())
    assert tape.passage(len(tape)).spans[-1].stop == len(SPEECH)
    assert listener.heard.speech_s == listener.heard.audio_s == SPEECH.duration_s


def test_silence_has_no_passages(listener: Listener) -> None:
    assert [tape for step in listener.passages(blocks(recording(12.0), 50_000)) for tape in step] == []
    assert listener.heard.speech_s == 0.0
    assert listener.heard.audio_s == 12.0


def test_every_step_takes_one_block(listener: Listener) -> None:
    """So that whoever pulls can look after windows that have come back, and after the deadline."""
    taken = []

    def counted() -> Iterator[Pcm]:
        for number, block in enumerate(blocks(recording(60.0), RATE_HZ)):
            taken.append(number)
            yield block

    for steps, _step in enumerate(listener.passages(counted()), 1):
        assert len(taken) <= steps

    assert len(taken) == 60


def test_passages_come_before_the_recording_ends(listener: Listener) -> None:
    """Here a passage is at most 8 s: the first is settled when 32 s wait, at the latest."""
    loud = Waveform(pcm=np.tile(recording(0.0, 20.0).pcm, 6))
    came: list[int] = []
    for number, step in enumerate(listener.passages(blocks(loud, 10 * RATE_HZ))):
        came += [number] * len(step)

    assert came[0] <= 4
    assert sum(number <= 7 for number in came) >= 6


def test_what_each_step_took_is_told_apart(listener: Listener) -> None:
    """The clock ticks once each time it is asked: once for each block and once for the end."""
    list(listener.passages(blocks(SPEECH, 160_000)))
    n_blocks = -(-len(SPEECH) // 160_000)

    assert listener.heard.decode_s == n_blocks + 1
    assert listener.heard.find_speech_s == n_blocks + 1


def test_spans_and_samples_agree(listener: Listener) -> None:
    for step in listener.passages(blocks(SPEECH, 33_333)):
        for tape in step:
            first: Span = tape.passage(len(tape)).spans[0]
            assert np.array_equal(tape.samples(0, len(first)), SPEECH.samples(first.start, first.stop))
