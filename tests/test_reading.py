from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from transcriber.audio.waveform import RATE_HZ, Waveform
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.errors import DeadlineExceeded, DeviceFault
from transcriber.options import DecodingOptions, Task, TranscriptionOptions
from transcriber.reading import BATCHES_AHEAD, Reader
from transcriber.scheduling.admission import Admission
from transcriber.scheduling.scheduler import Scheduler
from transcriber.stitching import Piece
from transcriber.transcript import Hypothesis, Segment
from transcriber.vad.spans import Span
from transcriber.vad.windows import Passage, joined

LONGEST_S = 30.0
WAVEFORM = Waveform(pcm=np.arange(200 * RATE_HZ, dtype=np.int64).astype(np.int16))


def heard(window: Window, *, consumed_s: float | None = None, language: str | None = "en") -> Hypothesis:
    length_s = (len(window.samples) - window.start_sample) / RATE_HZ
    return Hypothesis(
        segments=(Segment(start_s=0.0, end_s=0.5, text=" x"),),
        language=window.language or language,
        language_probability=0.9,
        consumed_s=length_s if consumed_s is None else consumed_s,
        has_speech=language is not None,
        context=(*window.context, 7),
    )


@dataclass
class FakeEngine:
    """Takes windows as they are; the test says what each becomes."""

    behave: Callable[[Window], Hypothesis] = heard
    windows: list[Window] = field(default_factory=list)
    largest_batch: int = 2

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="fake",
            longest_window_s=LONGEST_S,
            largest_batch=self.largest_batch,
            replicas=1,
            word_timestamps=False,
            languages=frozenset(),
            detects_language=True,
            tasks=frozenset(Task),
        )

    def prepare(self, window: Window) -> Window:
        self.windows.append(window)
        return window

    def batch_key(self, work: Window) -> str:
        return "all"

    def transcribe(self, batch: Sequence[Window]) -> list[Hypothesis | Retry[Window]]:
        return [self.behave(window) for window in batch]

    def warm_up(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


Read = Callable[..., list[Piece]]


@pytest.fixture
def read() -> Iterator[Read]:
    started: list[Scheduler[Window]] = []
    admission = Admission(limit_requests=9, limit_waiting_s=1e9, clock=lambda: 0.0)

    def run(
        engine: FakeEngine, passages: Sequence[Passage], *, deadline_s: float = 9.0, **options: object
    ) -> list[Piece]:
        scheduler: Scheduler[Window] = Scheduler(engine, clock=lambda: 0.0)
        scheduler.start()
        started.append(scheduler)
        with admission.admit() as ticket:
            ticket.count(sum(map(len, passages)) / RATE_HZ)
            reader = Reader(
                engine=engine,
                scheduler=scheduler,
                waveform=WAVEFORM,
                options=replace(TranscriptionOptions(decoding=DecodingOptions()), **options),
                ticket=ticket,
                deadline_s=deadline_s,
                clock=lambda: 0.0,
            )
            pieces = list(reader.read(passages))
            assert ticket.waiting_s == pytest.approx(0.0)
            assert reader.effort.windows == len(pieces) == len(engine.windows)
            return pieces

    yield run
    for scheduler in started:
        scheduler.close()


def passages(*lengths_s: float) -> list[Passage]:
    start, made = 0, []
    for length_s in lengths_s:
        stop = start + round(length_s * RATE_HZ)
        made.append(Passage(spans=(Span(start, stop),)))
        start = stop + RATE_HZ
    return made


def test_nothing_to_read_is_read_at_once(read: Read) -> None:
    assert read(FakeEngine(), []) == []


def test_until_the_language_is_known_one_window_is_read_at_a_time(read: Read) -> None:
    """Silence tells no language; the first window that has one decides for all that follow."""

    def behave(window: Window) -> Hypothesis:
        is_silence = len(engine.windows) < 3
        return heard(window, language=None if is_silence else "de")

    engine = FakeEngine(behave=behave)
    read(engine, passages(3, 3, 3, 3, 3))

    assert [window.language for window in engine.windows] == [None, None, None, "de", "de"]


def test_a_language_that_is_given_is_not_asked_for(read: Read) -> None:
    engine = FakeEngine()
    read(engine, passages(3, 3, 3), language="fr")

    assert [window.language for window in engine.windows] == ["fr", "fr", "fr"]


def test_only_the_recordings_first_window_has_the_initial_prompt(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, consumed_s=2.0))
    read(engine, passages(3, 3), language="en")

    assert [window.is_first for window in engine.windows if window.start_sample == 0].count(True) == 1
    assert not any(window.is_first for window in engine.windows if window.start_sample)


def test_what_a_window_left_unsettled_is_read_again_from_there(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, consumed_s=4.0 if window.start_sample == 0 else None))
    pieces = read(engine, passages(10))

    assert [piece.start_sample for piece in pieces] == [0, 4 * RATE_HZ]
    assert [len(window.samples) for window in engine.windows] == [10 * RATE_HZ] * 2


def test_a_long_passage_is_read_window_after_window_with_the_text_before(read: Read) -> None:
    engine = FakeEngine()
    pieces = read(engine, [joined([Span(0, 70 * RATE_HZ)])], language="en", condition_on_previous_text=True)

    assert [piece.start_sample // RATE_HZ for piece in pieces] == [0, 30, 60]
    assert [len(window.samples) // RATE_HZ for window in engine.windows] == [30, 30, 10]
    assert [window.context for window in engine.windows] == [(), (7,), (7, 7)]
    assert engine.windows[1].samples[0] == np.float32(WAVEFORM.pcm[30 * RATE_HZ] / 32768)


def test_without_conditioning_no_text_is_handed_on(read: Read) -> None:
    engine = FakeEngine()
    read(engine, [joined([Span(0, 70 * RATE_HZ)])], language="en")

    assert {window.context for window in engine.windows} == {()}


def test_a_long_recording_does_not_prepare_all_its_windows_at_once(read: Read) -> None:
    at_once: list[int] = []

    def behave(window: Window) -> Hypothesis:
        done.append(window)
        at_once.append(len(engine.windows) - len(done))
        return heard(window)

    done: list[Window] = []
    engine = FakeEngine(behave=behave)
    read(engine, passages(*[3.0] * 40), language="en")

    assert max(at_once) <= BATCHES_AHEAD * engine.largest_batch
    assert len(engine.windows) == 40


def test_a_window_that_fails_fails_the_request_and_takes_the_others_out_of_the_queue(read: Read) -> None:
    def behave(_window: Window) -> Hypothesis:
        raise DeviceFault("the device failed")

    with pytest.raises(DeviceFault, match="the device failed"):
        read(FakeEngine(behave=behave), passages(3, 3, 3, 3), language="en")


def test_a_request_that_is_late_says_so(read: Read) -> None:
    with pytest.raises(DeadlineExceeded):
        read(FakeEngine(), passages(3), deadline_s=-1.0)
