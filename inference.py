"""From audio to text: one service, built once.

`ModelService.transcribe` tells one request's story. Every request runs in a thread of its own and does its own
decoding, speech detection and features there, while the model works; only windows meet, in the scheduler's queue.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transcriber.audio.decode import decode
from transcriber.audio.fetch import Fetcher
from transcriber.audio.sources import Source
from transcriber.audio.waveform import RATE_HZ, Waveform
from transcriber.engines import catalogue
from transcriber.engines.base import Engine
from transcriber.errors import ModelUnavailable, NotReady, TranscriberError
from transcriber.observability.timeline import Timeline
from transcriber.options import TranscriptionOptions
from transcriber.reading import Effort, Reader
from transcriber.scheduling.admission import Admission, Ticket
from transcriber.scheduling.scheduler import Scheduler
from transcriber.settings import Settings
from transcriber.stitching import stitch
from transcriber.transcript import Transcript
from transcriber.vad.spans import spans_of
from transcriber.vad.speech import SpeechDetector
from transcriber.vad.windows import Passage, joined, passages_of, whole

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Story:
    """What a request's log line tells: seconds spent on each step, and what the model's part took."""

    fetch_and_decode_s: float = 0.0
    find_speech_s: float = 0.0
    read_s: float = 0.0
    audio_s: float = 0.0
    effort: Effort = field(default_factory=Effort)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The model and the queue before it."""

    engine: Engine[Any]  # each engine has a type of work of its own, which only it looks into
    scheduler: Scheduler[Any]


class ModelService:
    """The model behind its queue, with everything a request passes on its way there."""

    def __init__(self, settings: Settings, *, timeline: Timeline, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the settings; `start` begins to load the model."""
        self._settings = settings
        self._timeline = timeline
        self._clock = clock
        self._fetcher = Fetcher(settings)
        self._speech = SpeechDetector()
        self._admission = Admission(
            limit_requests=settings.max_requests_in_flight,
            limit_waiting_s=settings.max_waiting_seconds,
            clock=clock,
        )
        self._loaded: _Loaded | None = None
        self._failure: TranscriberError | None = None
        self._loader = threading.Thread(target=self._load, name="model-loader", daemon=True)

    def start(self) -> None:
        """Begin to load the model in the background."""
        self._loader.start()

    def close(self) -> None:
        """Let what the model is working on finish, refuse the rest, give the device back."""
        if self._loaded is not None:
            self._loaded.scheduler.close()
            self._loaded.engine.close()

    def check(self) -> None:
        """Return when a request could be served now.

        Raises:
            NotReady: The model is loading, or failed to load.
            DeviceFault: The device will not work again in this process.
        """
        fault = self._ready().scheduler.fault
        if fault is not None:
            raise fault

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
        self, source: Source, options: TranscriptionOptions, *, ticket: Ticket, story: Story | None = None
    ) -> Transcript:
        """Turn one recording into text.

        Args:
            source: Where the audio is; whoever made an `Upload` closes it.
            options: What the caller chose.
            ticket: What `admit` gave.
            story: Filled with what the steps took.

        Raises:
            TranscriberError: One of the leaves of `errors.py`, whatever happens to the audio or the device.
        """
        story = story or Story()
        deadline_s = self._clock() + self._settings.request_timeout_seconds
        loaded = self._ready()
        loaded.engine.capabilities.refuse(options.decoding, options.language)

        waveform = self._listen(source, story)
        passages = self._passages(waveform, options, story)
        speech_s = sum(len(passage) for passage in passages) / RATE_HZ
        ticket.count(speech_s)

        started_s = self._clock()
        reader = Reader(
            engine=loaded.engine,
            scheduler=loaded.scheduler,
            waveform=waveform,
            options=options,
            ticket=ticket,
            deadline_s=deadline_s,
            clock=self._clock,
            effort=story.effort,
        )
        pieces = list(reader.read(passages))
        story.read_s = self._clock() - started_s
        return stitch(
            pieces,
            duration_s=waveform.duration_s,
            speech_s=speech_s,
            language=options.language,
            task=options.decoding.task,
        )

    def _listen(self, source: Source, story: Story) -> Waveform:
        started_s = self._clock()
        with self._fetcher.open(source) as file:
            waveform = decode(file, limit_s=self._settings.max_audio_seconds)
        story.audio_s = waveform.duration_s
        story.fetch_and_decode_s = self._clock() - started_s
        return waveform

    def _passages(self, waveform: Waveform, options: TranscriptionOptions, story: Story) -> tuple[Passage, ...]:
        started_s = self._clock()
        passages = self._cut(waveform, options)
        story.find_speech_s = self._clock() - started_s
        return passages

    def _cut(self, waveform: Waveform, options: TranscriptionOptions) -> tuple[Passage, ...]:
        if not options.vad_filter:
            return (whole(len(waveform)),)
        probabilities = self._speech.probabilities_of(waveform)
        spans = tuple(spans_of(probabilities, length_samples=len(waveform)))
        if not spans:
            return ()
        if options.condition_on_previous_text:
            return (joined(spans),)
        longest_s = self._ready().engine.capabilities.longest_window_s
        return passages_of(spans, probabilities, limit_samples=round(longest_s * RATE_HZ))

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
            scheduler = Scheduler(engine, clock=self._clock)
            scheduler.start()
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
