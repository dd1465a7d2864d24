"""Reads the passages of one request: which window comes next, until every passage is settled.

Passages come while the recording is still being decoded, and are asked for only when there is room for them: a device
that is slower than decoding holds decoding back.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines.base import Engine, Window, Work
from transcriber.errors import DeadlineExceeded
from transcriber.options import TranscriptionOptions
from transcriber.scheduling.admission import Ticket
from transcriber.scheduling.gate import Gate
from transcriber.scheduling.scheduler import Scheduler, Served
from transcriber.stitching import Piece, advance
from transcriber.vad.listening import Steps
from transcriber.vad.tape import Tape
from transcriber.vad.windows import Passage

BATCHES_AHEAD = 2
"""Windows of one request that are found, prepared or waiting, in batches: enough that the device never waits for
features, few enough that a ten-hour recording holds 2 MB for each of them, samples and features, and no more."""

STEPS_IN_A_TURN = 6
"""Of listening, each with ten seconds of sound at most: some 25 ms of a core. Whoever has to wait for another turn is
woken for it, which costs as much as a part of a step."""

MARGIN_SAMPLES = RATE_HZ
"""A window is cut off a passage that goes on only when this much more of the passage is known: then it is certain that
there will be a window behind it."""


@dataclass(slots=True)
class Effort:
    """What reading took; written by the one thread that reads, and logged with the request.

    Attributes:
        windows: Windows read.
        began_s: When the first window went to the model, on the clock of the reader; None while none has.
        core_wait_s: Seconds before the gate.
        prepare_s: Seconds that features and prompts took.
        waited_s: Seconds that windows lay waiting, the longest of them.
        worked_s: Seconds in batches, summed over the windows.
        device_s: The windows' share of these batches.
        largest_batch: Windows in the largest batch that any of them met.
        company: Windows in the batches that they met, summed over the windows.
        fallbacks: Tries above the first.
    """

    windows: int = 0
    began_s: float | None = None
    core_wait_s: float = 0.0
    prepare_s: float = 0.0
    waited_s: float = 0.0
    worked_s: float = 0.0
    device_s: float = 0.0
    largest_batch: int = 0
    company: int = 0
    fallbacks: int = 0

    def add(self, served: Served) -> None:
        """Count one window."""
        self.windows += 1
        self.waited_s = max(self.waited_s, served.waited_s)
        self.worked_s += served.worked_s
        self.device_s += served.device_s
        self.largest_batch = max(self.largest_batch, served.batch_windows)
        self.company += served.batch_windows
        self.fallbacks += served.tries - 1


@dataclass(slots=True, kw_only=True)
class _Place:
    """How far a passage has been read: the start of its next window, and the text before it.

    A passage that fits the engine goes whole each time it is read on, so that features see all of it. From a longer
    one windows are cut, and the tape lets go of what has been settled.
    """

    number: int
    tape: Tape
    limit_samples: int
    is_begun: bool = False
    is_cut: bool = False
    start_sample: int = 0
    context: tuple[int, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the next window is there, and it is certain whether another follows."""
        return self.tape.is_complete or len(self.tape) >= self.limit_samples + MARGIN_SAMPLES

    def passage(self) -> Passage:
        """Return the passage from where the tape begins, as far as it matters to the next window."""
        self.is_cut = self.is_cut or len(self.tape) > self.limit_samples
        return self.tape.passage(self.limit_samples + MARGIN_SAMPLES)

    def samples(self) -> Samples:
        """Return the samples of the next window."""
        return self.tape.samples(0, min(len(self.tape), self.limit_samples))

    def move(self, following: int) -> None:
        """Go on to the next window."""
        self.is_begun = True
        if self.is_cut:
            self.tape.forget(following)
        else:
            self.start_sample = following


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """A window on its way through the model, and the passage as it was when it left.

    Attributes:
        language: It was read in; None where the model was to tell.
    """

    place: _Place
    passage: Passage
    language: str | None


_request_numbers = itertools.count()


@dataclass(slots=True, kw_only=True)
class Reader(Generic[Work]):
    """Reads one request.

    Passages are read side by side, each from its start to its end: where the model left the end of a window unsettled,
    the next window of the passage begins there.

    The language is the one that the first window tells which has any; silence tells none. Until it is known, as many
    windows as there are replicas are read ahead, each in the language that it tells itself, mostly the same one. What
    was read in another is read again. An engine that understands each window by itself is not waited for.
    """

    engine: Engine[Work]
    scheduler: Scheduler[Work]
    gate: Gate
    options: TranscriptionOptions
    ticket: Ticket
    deadline_s: float
    clock: Callable[[], float]
    effort: Effort = field(default_factory=Effort)
    tick_s: float = math.inf
    _language: str | None = None
    _request: int = field(default_factory=lambda: next(_request_numbers))
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _places: deque[_Place] = field(default_factory=deque)
    _flying: dict[Future[Served], _Flight] = field(default_factory=dict)
    _landed: dict[int, tuple[_Flight, Served]] = field(default_factory=dict)

    def read(self, steps: Steps) -> Iterator[Piece | None]:
        """Yield a piece for each window, in the order of the recording, each as soon as those before it are read.

        Args:
            steps: The passages, as a `Listener` comes upon them.

        Yields:
            Pieces; and None whenever nothing has come for `tick_s`.

        Raises:
            DeadlineExceeded: The request ran out of time.
            DeviceFault: The device failed on one of the windows.
            Stopping: The container is shutting down.
            TranscriberError: Whatever comes out of `steps`.
        """
        self._language = self.options.language
        order = _Order()
        is_listening = True
        silent_since_s = self.clock()
        try:
            while is_listening or self._places or self._flying:
                if self.clock() - silent_since_s >= self.tick_s:
                    yield None
                    silent_since_s = self.clock()
                self._submit_what_may_go()
                if is_listening and self._may_listen():
                    is_listening = self._listen(steps)
                elif self._flying:
                    for future in self._first_done():
                        self._land(self._flying.pop(future), future.result())
                    for flight, served in self._settled():
                        piece = Piece(
                            passage=flight.passage,
                            start_sample=flight.place.start_sample,
                            hypothesis=served.hypothesis,
                        )
                        is_read = not self._move_on(flight.place, piece)
                        for piece_in_turn in order.add(piece, number=flight.place.number, is_last=is_read):
                            yield piece_in_turn
                            silent_since_s = self.clock()
        finally:
            for future in self._flying:
                future.cancel()

    def _submit_what_may_go(self) -> None:
        while self._may_submit():
            with self._turn():
                self._submit(self._places.popleft())

    def _may_submit(self) -> bool:
        most = self.engine.capabilities.replicas if self._is_to_be_told else self._most
        return self._has_window and len(self._flying) + len(self._landed) < most

    @property
    def _has_window(self) -> bool:
        """Whether there is a window to read."""
        return bool(self._places) and self._places[0].is_ready

    @property
    def _is_to_be_told(self) -> bool:
        """Whether a window has yet to tell the language."""
        capabilities = self.engine.capabilities
        return self._language is None and capabilities.detects_language and capabilities.waits_for_language

    @property
    def _most(self) -> int:
        capabilities = self.engine.capabilities
        return BATCHES_AHEAD * capabilities.largest_batch * capabilities.replicas

    @property
    def _limit_samples(self) -> int:
        return round(self.engine.capabilities.longest_window_s * RATE_HZ)

    def _may_listen(self) -> bool:
        """Whether to take another block now: nothing else can be done, or nothing else waits and there is room."""
        if not self._flying:
            return True
        held = [*self._places, *(flight.place for flight in self._flying.values())]
        held += [flight.place for flight, _served in self._landed.values()]
        has_room = len(held) < self._most and all(len(p.tape) < self._most * self._limit_samples for p in held)
        return has_room and not any(future.done() for future in self._flying)

    def _listen(self, steps: Steps) -> bool:
        """Take steps until there is a window to read, or for as long as a turn may be, and send that window off.

        Returns:
            Whether there are more steps.
        """
        with self._turn():
            for _ in range(STEPS_IN_A_TURN):
                tapes = next(steps, None)
                if tapes is None:
                    return False
                for tape in tapes:
                    place = _Place(number=next(self._numbers), tape=tape, limit_samples=self._limit_samples)
                    self._places.append(place)
                if self._has_window or not self._may_listen():
                    break
            if self._may_submit():
                self._submit(self._places.popleft())
        return True

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for a core and keep it for the length of the block."""
        asked_s = self.clock()
        with self.gate.turn(within_s=self._left_s()):
            self.effort.core_wait_s += self.clock() - asked_s
            yield

    def _submit(self, place: _Place) -> None:
        """Prepare a window and queue it; the caller has a turn. A passage without a sample is dropped."""
        if not len(place.tape):
            return
        flight = _Flight(place=place, passage=place.passage(), language=self._language)
        started_s = self.clock()
        work = self.engine.prepare(
            Window(
                samples=place.samples(),
                start_sample=place.start_sample,
                language=flight.language,
                decoding=self.options.decoding,
                context=place.context,
                is_first=place.number == 0 and not place.is_begun,
                others=self.ticket.others + len(self._flying) + sum(other.is_ready for other in self._places),
            )
        )
        self.effort.prepare_s += self.clock() - started_s
        future = self.scheduler.submit(work, request=self._request, deadline_s=self.deadline_s)
        self._flying[future] = flight
        if self.effort.began_s is None:
            self.effort.began_s = self.clock()

    def _first_done(self) -> set[Future[Served]]:
        """Wait for a window, until the request is late or the next tick is due."""
        return wait(self._flying, timeout=min(self._left_s(), self.tick_s), return_when=FIRST_COMPLETED).done

    def _left_s(self) -> float:
        left_s = self.deadline_s - self.clock()
        if left_s <= 0:
            raise _late()
        return left_s

    def _land(self, flight: _Flight, served: Served) -> None:
        self.effort.add(served)
        self._landed[flight.place.number] = (flight, served)

    def _settled(self) -> Iterator[tuple[_Flight, Served]]:
        """Take out what has been read for good: all but what waits for an earlier window to tell the language."""
        for number in sorted(self._landed):
            if self._is_to_be_told and number > min(self._unread(), default=number):
                return
            flight, served = self._landed.pop(number)
            told = served.hypothesis.language
            if self._is_to_be_told:
                self._language = told
            is_common = told in (self._language, None) or not self.engine.capabilities.waits_for_language
            if flight.language is None and not is_common:
                self._places.appendleft(flight.place)
            else:
                yield flight, served

    def _unread(self) -> Iterator[int]:
        """Give the numbers of the places that a window is to be read of, or is being read."""
        yield from (place.number for place in self._places)
        yield from (flight.place.number for flight in self._flying.values())

    def _move_on(self, place: _Place, piece: Piece) -> bool:
        """Go on to the passage's next window; False when there is none."""
        length = len(piece.passage)
        following = advance(length, place.start_sample, piece.hypothesis)
        self.ticket.settle(((length if following is None else following) - place.start_sample) / RATE_HZ)
        if following is None:
            return False
        place.move(following)
        if self.options.condition_on_previous_text:
            place.context = piece.hypothesis.context
        self._places.appendleft(place)
        return True


class _Order:
    """Puts the pieces of passages that are read side by side into the order of the passages."""

    def __init__(self) -> None:
        self._turn = 0
        self._waiting: dict[int, list[Piece]] = {}
        self._read: set[int] = set()

    def add(self, piece: Piece, *, number: int, is_last: bool) -> Iterator[Piece]:
        """Take the next piece of a passage; yield what has no gap before it any more."""
        self._waiting.setdefault(number, []).append(piece)
        if is_last:
            self._read.add(number)
        yield from self._waiting.pop(self._turn, ())
        while self._turn in self._read:
            self._read.remove(self._turn)
            self._turn += 1
            yield from self._waiting.pop(self._turn, ())


def _late() -> DeadlineExceeded:
    return DeadlineExceeded("the request ran out of time; send shorter audio, or use an asynchronous endpoint")
