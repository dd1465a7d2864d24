"""The story of a request, with a fake model and fake ears, so that an hour takes a second."""

from __future__ import annotations

import itertools
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np
import pytest

from inference import HEARTBEAT_S, LOOK_ROUND_S, ModelService, Story, _Loaded
from transcriber.audio.sources import InlineBytes, S3Object, Upload
from transcriber.audio.waveform import RATE_HZ, Pcm
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.errors import CallerGone, DeadlineExceeded, DeviceFault, TooLarge, TranscriberError
from transcriber.observability.accounts import Occupancy
from transcriber.observability.timeline import Timeline
from transcriber.options import DecodingOptions, Task, TranscriptionOptions
from transcriber.scheduling.scheduler import Scheduler
from transcriber.settings import Settings, load
from transcriber.transcript import Hypothesis, Segment, Transcript
from transcriber.vad.spans import HOP_SAMPLES, Probabilities

SENTENCE = np.concatenate([np.full(6 * RATE_HZ, 9000, np.int16), np.zeros(1 * RATE_HZ, np.int16)])
"""Six seconds that the fake ears take for speech, and a pause."""

OPTIONS = TranscriptionOptions(language="en", decoding=DecodingOptions())
ORDERS = pytest.mark.parametrize(
    "changes",
    [{}, {"language": None}, {"vad_filter": False}, {"condition_on_previous_text": True}],
    ids=lambda changes: next(iter(changes), "passages"),
)


@dataclass
class FakeEngine:
    """Says when each window begins; the test may look on."""

    look_on: Callable[[Window], None] = lambda _window: None
    windows: list[int] = field(default_factory=list)

    capabilities = Capabilities(
        name="fake",
        longest_window_s=30.0,
        largest_batch=2,
        replicas=1,
        word_timestamps=False,
        languages=frozenset(),
        detects_language=True,
        tasks=frozenset(Task),
    )

    def prepare(self, window: Window) -> Window:
        self.windows.append(len(window.samples))
        return window

    def batch_key(self, work: Window) -> str:
        return "all"

    def transcribe(self, batch: Sequence[Window]) -> list[Hypothesis | Retry[Window]]:
        for window in batch:
            self.look_on(window)
        return [
            Hypothesis(
                segments=(Segment(start_s=0.0, end_s=1.0, text=f" {len(window.samples)}"),),
                language="en",
                language_probability=1.0,
                consumed_s=len(window.samples) / RATE_HZ,
                has_speech=True,
            )
            for window in batch
        ]

    def warm_up(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


class FakeEars:
    """Takes what is loud for speech."""

    def listen(self) -> FakeEars:
        return FakeEars()

    def __init__(self) -> None:
        self._rest = np.empty(0, np.int16)

    def add(self, pcm: Pcm) -> Probabilities:
        pcm = np.concatenate((self._rest, pcm))
        whole = len(pcm) - len(pcm) % HOP_SAMPLES
        self._rest = pcm[whole:]
        return (pcm[:whole:HOP_SAMPLES] > 1000).astype(np.float32)

    def finish(self) -> Probabilities:
        return np.zeros(1, np.float32)


class LongFile:
    """A WAV file of any length that takes no memory and remembers how far it was read."""

    def __init__(self, duration_s: int) -> None:
        self._sound = SENTENCE.tobytes()
        size = duration_s * RATE_HZ * 2
        fmt = struct.pack("<IHHIIHH", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
        self._head = b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + fmt + b"data" + struct.pack("<I", size)
        self._size = len(self._head) + size
        self._at = 0
        self.furthest_s = 0.0
        self.is_closed = False

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (self._size if whence == 2 else 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def fileno(self) -> int:
        raise OSError("it is nowhere")

    def read(self, size: int = -1) -> bytes:
        size = min(size, self._size - self._at)
        found = self._head[self._at : self._at + size]
        position = max(0, self._at - len(self._head)) % len(self._sound)
        while len(found) < size:
            more = self._sound[position : position + size - len(found)]
            found, position = found + more, 0
        self._at += size
        if found:
            self.furthest_s = max(self.furthest_s, (self._at - len(self._head)) / 2 / RATE_HZ)
        return found

    def close(self) -> None:
        self.is_closed = True

    def upload(self) -> Upload:
        return Upload(file=cast("BinaryIO", self), size_bytes=self._size)


Serve = Callable[..., ModelService]


@pytest.fixture
def serve() -> Iterator[Serve]:
    services = []

    def make(engine: FakeEngine, **environ: str) -> ModelService:
        settings: Settings = load(environ)
        service = ModelService(settings, timeline=Timeline())
        scheduler: Scheduler[Any] = Scheduler(engine, clock=service._clock)
        scheduler.start()
        service._loaded = _Loaded(engine, scheduler)
        service._speech = cast("Any", FakeEars())
        services.append(service)
        return service

    yield make
    for service in services:
        service.close()


@ORDERS
def test_the_first_window_is_read_when_two_minutes_have_been_decoded(serve: Serve, changes: dict[str, Any]) -> None:
    file = LongFile(2 * 3600)
    seen_s: list[float] = []
    engine = FakeEngine(look_on=lambda _window: seen_s.append(file.furthest_s))
    service = serve(engine)
    with service.admit() as ticket:
        segments = service.stream(file.upload(), _options(changes), ticket=ticket)
        next(segments)
        segments.close()

    # While the first window is read, listening goes on until four windows are found.
    assert 30 <= seen_s[0] <= 330
    assert file.furthest_s <= 330


def test_a_file_is_closed_once_it_is_decoded(serve: Serve) -> None:
    """Others have its room while the windows wait for the model."""
    file = LongFile(20)
    was_closed: list[bool] = []
    service = serve(FakeEngine(look_on=lambda _window: was_closed.append(file.is_closed)))
    with service.admit() as ticket:
        service.transcribe(file.upload(), OPTIONS, ticket=ticket)

    assert was_closed == [True]


def _options(changes: dict[str, Any]) -> TranscriptionOptions:
    values = {name: getattr(OPTIONS, name) for name in ("language", "vad_filter", "condition_on_previous_text")}
    return TranscriptionOptions(decoding=OPTIONS.decoding, **{**values, **changes})


@ORDERS
def test_an_hour_takes_no_more_memory_than_some_windows(serve: Serve, changes: dict[str, Any]) -> None:
    service = serve(FakeEngine())
    story = Story()
    with service.admit() as ticket:
        tracemalloc.start()
        transcript = service.transcribe(LongFile(3600).upload(), _options(changes), ticket=ticket, story=story)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert transcript.duration_s == 3600.0
    assert len(transcript.segments) == story.effort.windows >= 3000 / 30
    assert peak_bytes < 50 * 1024 * 1024  # the recording has 115 MB; what other tests left running is traced too


@ORDERS
def test_a_stream_is_the_transcript_segment_by_segment(serve: Serve, changes: dict[str, Any]) -> None:
    service = serve(FakeEngine())
    with service.admit() as ticket:
        *streamed, whole = (
            part for part in service.stream(LongFile(600).upload(), _options(changes), ticket=ticket) if part
        )
    with service.admit() as ticket:
        transcript = service.transcribe(LongFile(600).upload(), _options(changes), ticket=ticket)

    assert whole == transcript
    assert tuple(streamed) == transcript.segments
    assert streamed == sorted(streamed, key=lambda segment: segment.start_s)
    assert transcript.speech_s == (600.0 if changes == {"vad_filter": False} else pytest.approx(582, abs=3))


@pytest.mark.parametrize(("silence_s", "beats"), [(0.0, False), (HEARTBEAT_S, True)])
def test_a_stream_beats_whenever_nothing_has_come_for_a_while(serve: Serve, silence_s: float, beats: bool) -> None:
    """The clock moves on by that much each time somebody looks at it."""
    clock = itertools.count(0.0, silence_s)
    service = serve(FakeEngine(), REQUEST_TIMEOUT_SECONDS="1e9")
    service._clock = lambda: next(clock)
    with service.admit() as ticket:
        *parts, last = service.stream(LongFile(60).upload(), OPTIONS, ticket=ticket)

    assert isinstance(last, Transcript)
    assert (None in parts) == beats


def test_the_story_tells_what_the_steps_took(serve: Serve) -> None:
    service = serve(FakeEngine())
    story = Story()
    with service.admit() as ticket:
        service.transcribe(LongFile(300).upload(), OPTIONS, ticket=ticket, story=story)

    assert story.heard.audio_s == 300.0
    assert story.fetch_s > 0
    assert story.heard.decode_s > 0
    assert story.heard.find_speech_s > 0
    assert story.first_window_s is not None
    assert story.first_window_s >= story.fetch_s
    assert story.read_s > 0

    costs = story.costs()
    assert (costs.audio_s, costs.audio_bytes) == (300.0, 44 + 300 * 2 * RATE_HZ)
    assert costs.speech_s == story.heard.speech_s > 0
    assert (costs.fetch_s, costs.decode_s) == (story.fetch_s, story.heard.decode_s)
    assert costs.prepare_s > 0
    assert costs.core_wait_s >= 0
    assert 0 < costs.device_s <= costs.worked_s
    assert 1 <= costs.mean_batch <= costs.largest_batch <= 2
    assert costs.windows == len(service._ready().engine.windows)
    assert costs.read_s >= costs.queue_wait_s >= 0


def test_a_file_that_does_not_come_has_taken_its_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "test")
    service = serve(FakeEngine(), S3_ENDPOINT_URL="http://127.0.0.1:1", S3_MAX_ATTEMPTS="1")
    story = Story()
    with service.admit() as ticket, pytest.raises(TranscriberError):
        service.transcribe(S3Object(bucket="calls", key="a"), OPTIONS, ticket=ticket, story=story)

    assert story.costs().fetch_s > 0
    assert story.costs().audio_bytes == 0


def test_how_full_the_house_is_can_be_asked_at_any_time(serve: Serve) -> None:
    seen: list[Occupancy] = []
    engine = FakeEngine(look_on=lambda _window: seen.append(service.occupancy()))
    service = serve(engine, MAX_REQUESTS_IN_FLIGHT="7")
    assert ModelService(load({}), timeline=Timeline()).occupancy() == Occupancy()
    with service.admit() as ticket:
        service.transcribe(LongFile(300).upload(), OPTIONS, ticket=ticket)

    assert all((now.is_ready, now.requests, now.running_batches, now.replicas) == (True, 1, 1, 1) for now in seen)
    assert seen[0].waiting_audio_s == 300.0
    assert seen[0].largest_batch == 2
    page = service._metrics.page().decode()
    assert "stt_requests_in_flight 0.0" in page
    assert "stt_requests_in_flight_limit 7.0" in page


def test_silence_has_no_first_window(serve: Serve) -> None:
    service = serve(FakeEngine())
    story = Story()
    silence = LongFile(1)
    silence._sound = bytes(len(silence._sound))
    with service.admit() as ticket:
        transcript = service.transcribe(silence.upload(), OPTIONS, ticket=ticket, story=story)

    assert transcript.segments == ()
    assert (transcript.duration_s, transcript.speech_s, story.first_window_s) == (1.0, 0.0, None)


def test_a_recording_weighs_what_it_says_until_it_has_been_heard(serve: Serve) -> None:
    """So that callers are refused when much is on its way, though little of it has been decoded."""
    weights: list[float] = []
    engine = FakeEngine(look_on=lambda _window: weights.append(service._admission.waiting_s))
    service = serve(engine)
    with service.admit() as ticket:
        service.transcribe(LongFile(3600).upload(), OPTIONS, ticket=ticket)

        assert ticket.waiting_s == pytest.approx(0.0, abs=1e-6)
    assert weights[0] == 3600.0
    assert weights[-1] < 300.0  # however late the reader hears of it: two batches, and what is not cut up yet


def test_what_the_model_does_not_read_in_time_is_taken_back(serve: Serve) -> None:
    hold, held = threading.Event(), threading.Event()

    def look_on(_window: Window) -> None:
        held.set()
        hold.wait(30)

    service = serve(FakeEngine(look_on=look_on), REQUEST_TIMEOUT_SECONDS="0.5")
    with pytest.raises(DeadlineExceeded), service.admit() as ticket:
        service.transcribe(LongFile(600).upload(), OPTIONS, ticket=ticket)
    assert held.is_set()
    hold.set()
    assert service._ready().scheduler.n_waiting == 0 or _all_cancelled(service)
    assert service._admission.requests == 0


def _all_cancelled(service: ModelService) -> bool:
    return all(entry.future.cancelled() for entry in list(service._ready().scheduler._waiting.values()))


def test_a_recording_that_turns_out_too_long_is_refused_in_the_middle(serve: Serve) -> None:
    """A file that does not say how long it is; by then windows of it have been read."""
    service = serve(FakeEngine(), MAX_AUDIO_SECONDS="300")
    file = LongFile(600)
    file._head = file._head.replace(struct.pack("<H", 1) + struct.pack("<I", RATE_HZ), struct.pack("<HI", 1, 8_000))
    with service.admit() as ticket, pytest.raises(TooLarge):
        service.transcribe(file.upload(), OPTIONS, ticket=ticket)


def test_a_fault_of_the_device_ends_the_request(serve: Serve) -> None:
    def look_on(_window: Window) -> None:
        raise DeviceFault("the device failed")

    service = serve(FakeEngine(look_on=look_on))
    file = LongFile(600)
    with pytest.raises(DeviceFault), service.admit() as ticket:
        service.transcribe(file.upload(), OPTIONS, ticket=ticket)

    assert file.furthest_s < 600


def test_a_caller_who_leaves_takes_his_windows_along(serve: Serve) -> None:
    """The device goes on with what it has begun; what waits is not begun."""
    hold, began = threading.Event(), threading.Event()

    def look_on(_window: Window) -> None:
        began.set()
        hold.wait(30)

    engine = FakeEngine(look_on=look_on)
    service = serve(engine)
    with pytest.raises(CallerGone), service.admit() as ticket:
        service.transcribe(LongFile(600).upload(), OPTIONS, ticket=ticket, has_left=began.is_set)
    waiting = list(service._ready().scheduler._waiting.values())
    hold.set()

    assert waiting
    assert all(entry.future.cancelled() for entry in waiting)
    assert service._admission.requests == 0
    assert service._admission.waiting_s == 0.0


def test_a_caller_is_looked_for_once_a_second_and_no_oftener(serve: Serve) -> None:
    """Each look is a call into the kernel, and a window would be one."""
    clock = itertools.count(0.0, 0.01)
    looked_s: list[float] = []

    def has_left() -> bool:
        looked_s.append(next(clock))
        return False

    service = serve(FakeEngine(), REQUEST_TIMEOUT_SECONDS="1e9")
    service._clock = lambda: next(clock)
    with service.admit() as ticket:
        service.transcribe(LongFile(1800).upload(), OPTIONS, ticket=ticket, has_left=has_left)

    apart_s = np.diff([0.0, *looked_s, next(clock)])
    assert len(looked_s) > 3
    assert apart_s[:-1].min() >= LOOK_ROUND_S
    assert apart_s.max() < 2 * LOOK_ROUND_S


def test_bytes_inside_a_request_are_read_too(serve: Serve) -> None:
    file = LongFile(20)
    service = serve(FakeEngine())
    with service.admit() as ticket:
        transcript = service.transcribe(InlineBytes(data=file.read(10**9)), OPTIONS, ticket=ticket)

    assert transcript.duration_s == 20.0
