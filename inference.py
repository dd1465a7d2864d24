"""From audio to text: one service, built once.

`ModelService._read` tells one request's story. Every request runs in a thread of its own and does its own decoding,
speech detection and features there, block by block, while the model works; only windows meet, in the scheduler's queue.
Nobody holds a whole recording: the first windows are read before the file has been decoded to its end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from transcriber.audio.decoders import Decoders
from transcriber.audio.disk import Disk
from transcriber.audio.fetch import Fetcher
from transcriber.audio.sources import Source
from transcriber.audio.waveform import RATE_HZ, Pcm, Waveform
from transcriber.engines import catalogue
from transcriber.engines.base import Capabilities, Engine
from transcriber.errors import CallerGone, ModelUnavailable, NotReady, TranscriberError
from transcriber.observability.accounts import Costs, Occupancy
from transcriber.observability.metrics import Metrics
from transcriber.observability.timeline import Timeline
from transcriber.options import TranscriptionOptions
from transcriber.reading import Effort, Reader
from transcriber.scheduling.admission import Admission, Ticket
from transcriber.scheduling.gate import Gate
from transcriber.scheduling.scheduler import Scheduler
from transcriber.settings import Settings
from transcriber.stitching import Piece, segments_of, stitch
from transcriber.transcript import Segment, Transcript
from transcriber.vad.listening import Heard, Listener, Steps
from transcriber.vad.speech import SpeechDetector

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
"""How long a stream says nothing at most. Connections that are silent for a minute are given up on the way."""

LOOK_ROUND_S = 1.0
"""How often a request that waits for the model looks whether its caller still does."""


def nobody_leaves() -> bool:
    """Stand for a caller who cannot be seen."""
    return False


@dataclass(slots=True)
class Story:
    """What a request's log line and metrics tell.

    Attributes:
        audio_bytes: Size of the audio file.
        fetch_s: Seconds until the file was there, or it was certain that it would not be.
        first_window_s: Seconds until the first window went to the model; None while none has.
        read_s: Seconds from then until the last window was read; decoding goes on meanwhile.
        heard: How much there was to hear, and what decoding it and finding speech took.
        effort: What the model's part took.
    """

    audio_bytes: int = 0
    fetch_s: float = 0.0
    first_window_s: float | None = None
    read_s: float = 0.0
    heard: Heard = field(default_factory=Heard)
    effort: Effort = field(default_factory=Effort)

    def costs(self) -> Costs:
        """Return what the request has taken so far."""
        heard, effort = self.heard, self.effort
        return Costs(
            audio_bytes=self.audio_bytes,
            audio_s=heard.audio_s,
            speech_s=heard.speech_s,
            fetch_s=self.fetch_s,
            core_wait_s=effort.core_wait_s,
            decode_s=heard.decode_s,
            find_speech_s=heard.find_speech_s,
            prepare_s=effort.prepare_s,
            queue_wait_s=effort.waited_s,
            worked_s=effort.worked_s,
            device_s=effort.device_s,
            first_window_s=self.first_window_s,
            read_s=self.read_s,
            windows=effort.windows,
            largest_batch=effort.largest_batch,
            mean_batch=effort.company / max(1, effort.windows),
            fallbacks=effort.fallbacks,
        )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The model and the queue before it."""

    engine: Engine[Any]  # each engine has a type of work of its own, which only it looks into
    scheduler: Scheduler[Any]


class ModelService:
    """The model behind its queue, with everything a request passes on its way there."""

    def __init__(
        self,
        settings: Settings,
        *,
        timeline: Timeline,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store the settings; `start` begins to load the model."""
        self._settings = settings
        self._timeline = timeline
        self._metrics = metrics or Metrics(timeline)
        self._clock = clock
        self.disk = Disk(settings.max_disk_bytes)
        self._fetcher = Fetcher(settings, disk=self.disk, clock=clock)
        self._decoders = Decoders(stall_s=settings.decode_stall_seconds)
        self._speech = SpeechDetector()
        self._gate = Gate(max(2, len(os.sched_getaffinity(0))))
        self._admission = Admission(
            limit_requests=settings.max_requests_in_flight,
            limit_waiting_s=settings.max_waiting_seconds,
            clock=clock,
        )
        self._loaded: _Loaded | None = None
        self._failure: TranscriberError | None = None
        self._metrics.watch(
            self.occupancy,
            limit_requests=settings.max_requests_in_flight,
            limit_waiting_s=settings.max_waiting_seconds,
        )
        self._loader = threading.Thread(target=self._load, name="model-loader", daemon=True)

    def start(self) -> None:
        """Begin to load the model in the background."""
        self._decoders.start()
        self._loader.start()

    def close(self) -> None:
        """Let what the model is working on finish, refuse the rest, give the device back."""
        if self._loaded is not None:
            self._loaded.scheduler.close()
            self._loaded.engine.close()
        self._decoders.close()

    def check(self) -> None:
        """Return when a request could be served now.

        Raises:
            NotReady: The model is loading, or failed to load.
            DeviceFault: The device will not work again in this process.
        """
        fault = self._ready().scheduler.fault
        if fault is not None:
            raise fault

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded engine can do.

        Raises:
            NotReady: The model is loading, or failed to load.
        """
        return self._ready().engine.capabilities

    def occupancy(self) -> Occupancy:
        """Return how full the house is now; waits for nobody."""
        loaded = self._loaded
        return Occupancy(
            is_ready=loaded is not None and self._failure is None and loaded.scheduler.fault is None,
            requests=self._admission.requests,
            waiting_windows=loaded.scheduler.n_waiting if loaded else 0,
            running_batches=loaded.scheduler.n_running if loaded else 0,
            waiting_audio_s=self._admission.waiting_s,
            replicas=loaded.engine.capabilities.replicas if loaded else 0,
            largest_batch=loaded.scheduler.largest_batch if loaded else 0,
        )

    def admit(self) -> AbstractContextManager[Ticket]:
        """Let a request in before its body is read.

        Raises:
            NotReady: The model is loading, or failed to load.
            DeviceFault: The device will not work again in this process.
            Busy: As much is in flight as may be.
        """
        self.check()
        return self._admission.admit()

    def transcribe(
        self,
        source: Source,
        options: TranscriptionOptions,
        *,
        ticket: Ticket,
        story: Story | None = None,
        has_left: Callable[[], bool] = nobody_leaves,
    ) -> Transcript:
        """Turn one recording into text.

        Args:
            source: Where the audio is. The file of an `Upload` is closed once it is decoded; whoever made it closes it
                where that did not come about.
            options: What the caller chose.
            ticket: What `admit` gave.
            story: Filled with what the steps took.
            has_left: Tells whether the caller has gone; asked every second or so, and then the rest is not read.

        Raises:
            TranscriberError: One of the leaves of `errors.py`, whatever happens to the audio or the device.
        """
        story = story or Story()
        pieces: list[Piece] = []
        looked_s = self._clock()
        with closing(self._read(source, options, ticket, story, tick_s=LOOK_ROUND_S)) as read:
            for piece in read:
                if self._clock() - looked_s >= LOOK_ROUND_S:
                    if has_left():
                        raise CallerGone("the caller closed the connection before the answer was there")
                    looked_s = self._clock()
                if piece is not None:
                    pieces.append(piece)
        return _transcript(pieces, options, story)

    def stream(
        self, source: Source, options: TranscriptionOptions, *, ticket: Ticket, story: Story | None = None
    ) -> Generator[Segment | Transcript | None]:
        """Turn one recording into text, segment by segment: those of `transcribe`, each as soon as it is final.

        An iterator that is closed before its end takes back what still waits for the model. Arguments and failures are
        those of `transcribe`.

        Yields:
            Segments; None whenever nothing has come for `HEARTBEAT_S`; at last the transcript.
        """
        story = story or Story()
        pieces: list[Piece] = []
        said_until_s = 0.0
        for piece in self._read(source, options, ticket, story, tick_s=HEARTBEAT_S):
            if piece is None:
                yield None
                continue
            pieces.append(piece)
            for segment in segments_of([piece], floor_s=said_until_s):
                said_until_s = segment.end_s
                yield segment
        yield _transcript(pieces, options, story)

    def _read(
        self, source: Source, options: TranscriptionOptions, ticket: Ticket, story: Story, *, tick_s: float
    ) -> Generator[Piece | None]:
        """Fetch, decode, find speech, cut windows and have them read: all of it as far as the next piece needs it."""
        started_s = self._clock()
        deadline_s = started_s + self._settings.request_timeout_seconds
        loaded = self._ready()
        loaded.engine.capabilities.refuse(
            options.decoding, options.language, with_context=options.condition_on_previous_text
        )
        listener = Listener(
            detector=self._speech,
            limit_samples=round(loaded.engine.capabilities.longest_window_s * RATE_HZ),
            clock=self._clock,
            heard=story.heard,
        )
        reader = Reader(
            engine=loaded.engine,
            scheduler=loaded.scheduler,
            gate=self._gate,
            options=options,
            ticket=ticket,
            deadline_s=deadline_s,
            clock=self._clock,
            effort=story.effort,
            tick_s=tick_s,
        )
        limit_s = self._settings.max_audio_seconds
        with (
            self._fetched(source, story, deadline_s) as file,
            self._decoders.open(file, limit_s=limit_s) as sound,
        ):
            story.heard.decode_s = self._clock() - started_s - story.fetch_s
            steps = _heard_by(listener, _released(sound.blocks, file), options)
            yield from reader.read(_weighed(steps, ticket, story.heard, stated_s=min(sound.stated_s or 0.0, limit_s)))
        if story.effort.began_s is not None:
            story.first_window_s = story.effort.began_s - started_s
            story.read_s = self._clock() - story.effort.began_s

    @contextmanager
    def _fetched(self, source: Source, story: Story, deadline_s: float) -> Iterator[BinaryIO]:
        """Have the file there, and say how long that took even when it is not."""
        started_s = self._clock()
        with ExitStack() as stack:
            try:
                file = stack.enter_context(self._fetcher.open(source, deadline_s=deadline_s))
            finally:
                story.fetch_s = self._clock() - started_s
            story.audio_bytes = file.seek(0, os.SEEK_END)
            file.seek(0)
            yield file

    def _ready(self) -> _Loaded:
        if self._failure is not None:
            raise NotReady(f"the model failed to load: {self._failure.message}")
        if self._loaded is None:
            raise NotReady("the model is still loading; ask /ping when it is ready", retry_after_s=5)
        return self._loaded

    def _load(self) -> None:
        try:
            engine = catalogue.load(self._settings, timeline=self._timeline)
            engine.warm_up()
            self._speech.probabilities_of(Waveform(pcm=np.zeros(RATE_HZ, np.int16)))
            self._timeline.mark("warmed")
            scheduler = Scheduler(engine, clock=self._clock, tell=self._metrics.count_batch)
            scheduler.start()
            self._metrics.name_model(
                model=self._settings.model_id,
                engine=engine.capabilities.name,
                device=self._settings.device,
                compute_type=self._settings.compute_type,
            )
            self._loaded = _Loaded(engine, scheduler)
            self._timeline.mark("ready")
            log.info("model ready", extra={"model": self._settings.model_id, **self._timeline.seconds()})
        except TranscriberError as error:
            self._fail(error)
        except Exception as error:  # the thread's own door: whatever ends it, /ping and the log must tell
            self._fail(ModelUnavailable("loading ended in a fault that was not foreseen; the log has its stack"))
            log.critical("model failed to load", exc_info=error)

    def _fail(self, failure: TranscriberError) -> None:
        self._failure = failure
        log.critical("model failed to load", extra={"model": self._settings.model_id, "reason": failure.message})


def _transcript(pieces: Sequence[Piece], options: TranscriptionOptions, story: Story) -> Transcript:
    return stitch(
        pieces,
        duration_s=story.heard.audio_s,
        speech_s=story.heard.speech_s,
        language=options.language,
        task=options.decoding.task,
    )


def _released(blocks: Iterator[Pcm], file: BinaryIO) -> Iterator[Pcm]:
    """Close the file behind its last block: others need its room while the windows wait for the model."""
    yield from blocks
    file.close()


def _heard_by(listener: Listener, blocks: Iterator[Pcm], options: TranscriptionOptions) -> Steps:
    if not options.vad_filter:
        return listener.everything_in_order(blocks)
    if options.condition_on_previous_text:
        return listener.speech_in_order(blocks)
    return listener.passages(blocks)


def _weighed(steps: Steps, ticket: Ticket, heard: Heard, *, stated_s: float) -> Steps:
    """Let a recording weigh what it says it is until it has been heard to its end, then the speech that was in it."""
    ticket.weigh(stated_s)
    for step in steps:
        ticket.weigh(max(stated_s, heard.speech_s))
        yield step
    ticket.weigh(heard.speech_s)
