"""Reads the passages of one request: which window comes next, until every passage is settled."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Generic

from transcriber.audio.waveform import RATE_HZ, Samples, Waveform
from transcriber.engines.base import Engine, Window, Work
from transcriber.errors import DeadlineExceeded
from transcriber.options import TranscriptionOptions
from transcriber.scheduling.admission import Ticket
from transcriber.scheduling.scheduler import Scheduler, Served
from transcriber.stitching import Piece, advance
from transcriber.vad.windows import Passage

BATCHES_AHEAD = 2
"""Windows of one request that are prepared and waiting, in batches: enough that the device never waits for features,
few enough that a ten-hour recording holds 1 MB for each of them and no more."""


@dataclass(slots=True)
class Effort:
    """What reading took; written by the one thread that reads, and logged with the request.

    Attributes:
        windows: Windows read.
        waited_s: Seconds that windows lay waiting, the longest of them.
        worked_s: Seconds in batches, summed over the windows.
        largest_batch: Windows in the largest batch that any of them met.
        fallbacks: Tries above the first.
    """

    windows: int = 0
    waited_s: float = 0.0
    worked_s: float = 0.0
    largest_batch: int = 0
    fallbacks: int = 0

    def add(self, served: Served) -> None:
        """Count one window."""
        self.windows += 1
        self.waited_s = max(self.waited_s, served.waited_s)
        self.worked_s += served.worked_s
        self.largest_batch = max(self.largest_batch, served.batch_windows)
        self.fallbacks += served.tries - 1


@dataclass(slots=True, kw_only=True)
class _Place:
    """How far a passage has been read: the start of its next window, and the text before it."""

    number: int
    passage: Passage
    start_sample: int = 0
    context: tuple[int, ...] = ()


_request_numbers = itertools.count()


@dataclass(slots=True, kw_only=True)
class Reader(Generic[Work]):
    """Reads one request.

    Passages are read side by side, each from its start to its end: where the model left the end of a window unsettled,
    the next window of the passage begins there. Until the language is known, one window at a time is read; silence does
    not tell a language.
    """

    engine: Engine[Work]
    scheduler: Scheduler[Work]
    waveform: Waveform
    options: TranscriptionOptions
    ticket: Ticket
    deadline_s: float
    clock: Callable[[], float]
    effort: Effort = field(default_factory=Effort)
    _language: str | None = None
    _request: int = field(default_factory=lambda: next(_request_numbers))

    def read(self, passages: Iterable[Passage]) -> Iterator[Piece]:
        """Yield a piece for each window as soon as it has been read, in no particular order.

        Raises:
            DeadlineExceeded: The request ran out of time.
            DeviceFault: The device failed on one of the windows.
            Stopping: The container is shutting down.
        """
        self._language = self.options.language
        places = deque(_Place(number=number, passage=passage) for number, passage in enumerate(passages))
        flying: dict[Future[Served], _Place] = {}
        most = BATCHES_AHEAD * self.engine.capabilities.largest_batch * self.engine.capabilities.replicas
        try:
            while places or flying:
                while places and len(flying) < (most if self._language else 1):
                    place = places.popleft()
                    flying[self._submit(place)] = place
                for future in self._first_done(flying):
                    place = flying.pop(future)
                    piece = self._settle(place, future.result())
                    yield piece
                    if self._move_on(place, piece):
                        places.appendleft(place)
        finally:
            for future in flying:
                future.cancel()

    def _submit(self, place: _Place) -> Future[Served]:
        samples, start_sample = self._samples(place)
        work = self.engine.prepare(
            Window(
                samples=samples,
                start_sample=start_sample,
                language=self._language,
                decoding=self.options.decoding,
                context=place.context,
                is_first=place.number == 0 and place.start_sample == 0,
            )
        )
        return self.scheduler.submit(work, request=self._request, deadline_s=self.deadline_s)

    def _samples(self, place: _Place) -> tuple[Samples, int]:
        """Cut the next window; a passage that fits the engine goes whole, so that features see all of it."""
        limit = round(self.engine.capabilities.longest_window_s * RATE_HZ)
        length = len(place.passage)
        if length <= limit:
            return place.passage.samples(self.waveform, 0, length), place.start_sample
        stop = min(length, place.start_sample + limit)
        return place.passage.samples(self.waveform, place.start_sample, stop), 0

    def _first_done(self, flying: Iterable[Future[Served]]) -> set[Future[Served]]:
        done = wait(flying, timeout=max(0.0, self.deadline_s - self.clock()), return_when=FIRST_COMPLETED).done
        if not done:
            raise DeadlineExceeded("the request ran out of time; send shorter audio, or use an asynchronous endpoint")
        return done

    def _settle(self, place: _Place, served: Served) -> Piece:
        self.effort.add(served)
        hypothesis = served.hypothesis
        if self._language is None:
            self._language = hypothesis.language
        return Piece(passage=place.passage, start_sample=place.start_sample, hypothesis=hypothesis)

    def _move_on(self, place: _Place, piece: Piece) -> bool:
        """Set the place to the passage's next window; False when there is none."""
        length = len(place.passage)
        following = advance(length, place.start_sample, piece.hypothesis)
        self.ticket.settle(((length if following is None else following) - place.start_sample) / RATE_HZ)
        if following is None:
            return False
        place.start_sample = following
        if self.options.condition_on_previous_text:
            place.context = piece.hypothesis.context
        return True
