from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transcriber.audio.waveform import RATE_HZ
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.errors import DeadlineExceeded, DeviceFault, TooLarge
from transcriber.options import DecodingOptions, Task, TranscriptionOptions
from transcriber.reading import BATCHES_AHEAD, STEPS_IN_A_TURN, Effort, Reader
from transcriber.scheduling.admission import Admission
from transcriber.scheduling.gate import Gate
from transcriber.scheduling.scheduler import Scheduler, Served
from transcriber.stitching import Piece
from transcriber.transcript import Hypothesis, Segment
from transcriber.vad.spans import Span
from transcriber.vad.tape import Tape

LONGEST_S = 30.0
PCM = np.arange(200 * RATE_HZ, dtype=np.int64).astype(np.int16)


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
    replicas: int = 1
    detects_language: bool = True
    waits_for_language: bool = True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="fake",
            longest_window_s=LONGEST_S,
            largest_batch=self.largest_batch,
            replicas=self.replicas,
            word_timestamps=False,
            languages=frozenset(),
            detects_language=self.detects_language,
            tasks=frozenset(Task),
            waits_for_language=self.waits_for_language,
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


class CountingGate(Gate):
    """Counts the turns that were taken."""

    def __init__(self) -> None:
        super().__init__(1)
        self.turns = 0

    @contextmanager
    def turn(self, *, within_s: float) -> Iterator[None]:
        self.turns += 1
        with super().turn(within_s=within_s):
            yield


Read = Callable[..., list[Piece]]


@pytest.fixture
def read() -> Iterator[Read]:
    started: list[Scheduler[Window]] = []
    admission = Admission(limit_requests=9, limit_waiting_s=1e9, clock=lambda: 0.0)

    def run(
        engine: FakeEngine,
        steps: Iterable[Sequence[Tape]],
        *,
        deadline_s: float = 9.0,
        effort: Effort | None = None,
        gate: Gate | None = None,
        **options: object,
    ) -> list[Piece]:
        scheduler: Scheduler[Window] = Scheduler(engine, clock=lambda: 0.0)
        scheduler.start()
        started.append(scheduler)
        with admission.admit() as ticket:
            ticket.weigh(200.0)
            reader = Reader(
                engine=engine,
                scheduler=scheduler,
                gate=gate or Gate(1),
                options=replace(TranscriptionOptions(decoding=DecodingOptions()), **options),
                ticket=ticket,
                deadline_s=deadline_s,
                clock=lambda: 0.0,
                effort=effort or Effort(),
            )
            pieces = list(reader.read(iter(steps)))
            assert ticket.waiting_s == pytest.approx(200.0 - settled_s(pieces))
            assert reader.effort.windows == len(engine.windows)
            return pieces

    yield run
    for scheduler in started:
        scheduler.close()


def settled_s(pieces: list[Piece]) -> float:
    """Count the seconds of the recording that any of the passages hold: all of them are read in the end."""
    held = np.zeros(len(PCM), bool)
    for piece in pieces:
        for span in piece.passage.spans:
            held[span.start : span.stop] = True
    return float(np.count_nonzero(held)) / RATE_HZ


def told(pieces: list[Piece]) -> list[tuple[int, str | None, str]]:
    """Give of each piece where it starts, its language and its text."""
    return [
        (
            piece.passage.spans[0].start + piece.start_sample,
            piece.hypothesis.language,
            piece.hypothesis.segments[0].text,
        )
        for piece in pieces
    ]


def number_of(window: Window) -> int:
    """Tell which of `passages` of 3 s each a window is of, by where in `PCM` the passage begins."""
    return round(float(window.samples[0]) * 32768 / (4 * RATE_HZ - 65536))


def tape(*spans: Span) -> Tape:
    made = Tape()
    for span in spans:
        made.add(span, PCM[span.start : span.stop])
    made.is_complete = True
    return made


def passages(*lengths_s: float) -> list[list[Tape]]:
    """One step for each passage."""
    start, made = 0, []
    for length_s in lengths_s:
        stop = start + round(length_s * RATE_HZ)
        made.append([tape(Span(start, stop))])
        start = stop + RATE_HZ
    return made


def growing(length_s: float, *, step_s: float) -> Iterator[list[Tape]]:
    """One passage that comes step by step."""
    made, position = Tape(), 0
    yield [made]
    while position < length_s * RATE_HZ:
        stop = min(position + round(step_s * RATE_HZ), round(length_s * RATE_HZ))
        made.add(Span(position, stop), PCM[position:stop])
        position = stop
        yield []
    made.is_complete = True


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


def test_as_many_windows_as_replicas_are_read_ahead_of_the_language(read: Read) -> None:
    """And no more until the first has told it, however long it takes."""

    def behave(window: Window) -> Hypothesis:
        if number_of(window) == 0:
            assert is_second_read.wait(9)
            assert len(engine.windows) == 2
        else:
            is_second_read.set()
        return heard(window)

    is_second_read = threading.Event()
    engine = FakeEngine(behave=behave, largest_batch=1, replicas=2)
    read(engine, passages(3, 3, 3, 3))

    assert [window.language for window in engine.windows] == [None, None, "en", "en"]


def test_the_first_window_tells_the_language_though_it_comes_in_last(read: Read) -> None:
    class Watched(Effort):
        def add(self, served: Served) -> None:
            super().add(served)
            has_landed.set()

    def behave(window: Window) -> Hypothesis:
        if number_of(window) == 0:
            assert has_landed.wait(9)
        return heard(window, language="en" if number_of(window) == 0 else "de")

    has_landed = threading.Event()
    engine = FakeEngine(behave=behave, largest_batch=1, replicas=2)
    pieces = read(engine, passages(3, 3), effort=Watched())

    assert [piece.hypothesis.language for piece in pieces] == ["en", "en"]
    assert [window.language for window in engine.windows] == [None, None, "en"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    languages=st.lists(st.sampled_from(["en", "de", None]), min_size=1, max_size=6),
    consumed_s=st.sampled_from([1.0, 3.0]),
    replicas=st.integers(2, 4),
)
def test_what_is_read_ahead_changes_nothing(
    read: Read, languages: list[str | None], consumed_s: float, replicas: int
) -> None:
    """Each passage is in a language of its own, and is heard otherwise in another."""

    def behave(window: Window) -> Hypothesis:
        spoken = languages[number_of(window)]
        said = heard(window, language=spoken, consumed_s=None if window.start_sample else consumed_s)
        text = f"{spoken} in {said.language}" if spoken else ""
        return replace(said, language=spoken and said.language, segments=(Segment(start_s=0.0, end_s=0.5, text=text),))

    steps = passages(*[3.0] * len(languages))
    one_by_one, ahead = FakeEngine(behave=behave), FakeEngine(behave=behave, largest_batch=1, replicas=replicas)

    assert told(read(ahead, steps)) == told(read(one_by_one, steps))


def test_an_engine_that_tells_no_language_is_not_waited_for(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, language=None), detects_language=False)
    read(engine, passages(3, 3, 3, 3))

    assert [window.language for window in engine.windows] == [None] * 4


def test_windows_that_are_understood_each_by_itself_do_not_wait_for_a_language(read: Read) -> None:
    """And what another language is told in is not read again."""
    is_third_prepared = threading.Event()

    class Engine(FakeEngine):
        def prepare(self, window: Window) -> Window:
            if len(self.windows) == 2:
                is_third_prepared.set()
            return super().prepare(window)

    def behave(window: Window) -> Hypothesis:
        assert is_third_prepared.wait(timeout=10)
        return heard(window, language="de" if number_of(window) else "en")

    engine = Engine(behave=behave, waits_for_language=False)
    pieces = read(engine, passages(3, 3, 3))

    assert [piece.hypothesis.language for piece in pieces] == ["en", "de", "de"]
    assert [window.language for window in engine.windows] == [None, None, None]


def test_a_language_that_is_given_is_not_asked_for(read: Read) -> None:
    engine = FakeEngine()
    read(engine, passages(3, 3, 3), language="fr")

    assert [window.language for window in engine.windows] == ["fr", "fr", "fr"]


def test_only_the_recordings_first_window_has_the_initial_prompt(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, consumed_s=2.0))
    read(engine, passages(3, 3), language="en")

    assert [window.is_first for window in engine.windows if window.start_sample == 0].count(True) == 1
    assert not any(window.is_first for window in engine.windows if window.start_sample)


def test_each_window_says_how_many_others_there_are(read: Read) -> None:
    """Of its own request, ready or on their way; those of other requests are not known one by one."""
    together = [[tape(Span(0, RATE_HZ)), tape(Span(2 * RATE_HZ, 3 * RATE_HZ)), tape(Span(4 * RATE_HZ, 5 * RATE_HZ))]]
    engine, lone = FakeEngine(largest_batch=8), FakeEngine()
    read(engine, together, language="en")
    read(lone, [[], *passages(3)], language="en")

    assert [window.others for window in engine.windows] == [2, 2, 2]
    assert [window.others for window in lone.windows] == [0]


def test_what_a_window_left_unsettled_is_read_again_from_there(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, consumed_s=4.0 if window.start_sample == 0 else None))
    pieces = read(engine, passages(10))

    assert [piece.start_sample for piece in pieces] == [0, 4 * RATE_HZ]
    assert [len(window.samples) for window in engine.windows] == [10 * RATE_HZ] * 2


@pytest.mark.parametrize("step_s", [0.4, 10.0, 29.0, 70.0])
def test_a_long_passage_is_read_window_after_window_with_the_text_before(read: Read, step_s: float) -> None:
    engine = FakeEngine()
    steps = growing(70.0, step_s=step_s)
    pieces = read(engine, steps, language="en", condition_on_previous_text=True)

    assert [piece.passage.spans[0].start // RATE_HZ for piece in pieces] == [0, 30, 60]
    assert [piece.start_sample for piece in pieces] == [0, 0, 0]
    assert [len(window.samples) // RATE_HZ for window in engine.windows] == [30, 30, 10]
    assert [window.context for window in engine.windows] == [(), (7,), (7, 7)]
    assert [window.is_first for window in engine.windows] == [True, False, False]
    assert engine.windows[1].samples[0] == np.float32(PCM[30 * RATE_HZ] / 32768)


@pytest.mark.parametrize("length_s", [29.9, 30.0, 30.05, 30.5, 31.0, 31.5, 60.05])
def test_what_is_read_does_not_depend_on_how_the_passage_comes(read: Read, length_s: float) -> None:
    def behave(window: Window) -> Hypothesis:
        return heard(window, consumed_s=29.97 if len(window.samples) == 30 * RATE_HZ else None)

    at_once, step_by_step = FakeEngine(behave=behave), FakeEngine(behave=behave)
    read(at_once, [[tape(Span(0, round(length_s * RATE_HZ)))]], language="en")
    read(step_by_step, growing(length_s, step_s=3.0), language="en")

    assert [w.start_sample for w in step_by_step.windows] == [w.start_sample for w in at_once.windows]
    for one, other in zip(step_by_step.windows, at_once.windows, strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_a_passage_of_nothing_is_not_read(read: Read) -> None:
    assert read(FakeEngine(), growing(0.0, step_s=1.0)) == []


def test_without_conditioning_no_text_is_handed_on(read: Read) -> None:
    engine = FakeEngine()
    read(engine, growing(70.0, step_s=70.0), language="en")

    assert {window.context for window in engine.windows} == {()}


def test_pieces_come_in_the_order_of_the_recording(read: Read) -> None:
    engine = FakeEngine(behave=lambda window: heard(window, consumed_s=2.0))
    pieces = read(engine, passages(*[5.0] * 9), language="en")
    places = [(piece.passage.spans[0].start, piece.start_sample) for piece in pieces]

    assert places == sorted(places)
    assert len(places) == 27


@pytest.mark.parametrize(("silent_steps", "listening"), [(0, 1), (5, 1), (6, 2), (59, 10), (60, 11)])
def test_turns_are_as_long_as_it_takes_to_find_a_window_but_no_longer_than_they_may_be(
    read: Read, silent_steps: int, listening: int
) -> None:
    """One more to find that nothing follows; the window's features belong to the turn that found it."""
    gate = CountingGate()
    read(FakeEngine(), [[]] * silent_steps + passages(3), gate=gate, language="en")

    assert STEPS_IN_A_TURN == 6
    assert gate.turns == listening + 1


def test_no_more_is_listened_to_than_there_is_room_for(read: Read) -> None:
    """A device that is slower than decoding holds decoding back."""
    ahead: list[int] = []

    def steps() -> Iterator[list[Tape]]:
        for number, step in enumerate(passages(*[3.0] * 40)):
            ahead.append(number - len(done))
            yield step

    def behave(window: Window) -> Hypothesis:
        done.append(window)
        return heard(window)

    done: list[Window] = []
    read(FakeEngine(behave=behave), steps(), language="en")

    assert max(ahead) <= BATCHES_AHEAD * 2


@pytest.mark.parametrize("length_s", [150.0, 190.0])
def test_a_growing_passage_is_bounded_too(read: Read, length_s: float) -> None:
    held: list[float] = []

    def steps() -> Iterator[list[Tape]]:
        for step in growing(length_s, step_s=10.0):
            tapes.extend(step)
            held.append(len(tapes[0]) / RATE_HZ)
            yield step

    tapes: list[Tape] = []
    read(FakeEngine(largest_batch=1), steps(), language="en")

    assert max(held) <= BATCHES_AHEAD * LONGEST_S + 10.0


def test_a_recording_that_turns_out_bad_takes_its_windows_out_of_the_queue(read: Read) -> None:
    def steps() -> Iterator[list[Tape]]:
        yield from passages(3, 3)
        raise TooLarge("the audio is too long")

    with pytest.raises(TooLarge):
        read(FakeEngine(), steps(), language="en")


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
