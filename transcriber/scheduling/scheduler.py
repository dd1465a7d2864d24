"""Feeds the engine's replicas with batches and fulfils a future for each window."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic

from transcriber.engines.base import Engine, Retry, Work, transcribe_batch
from transcriber.errors import DeadlineExceeded, DeviceFault, Stopping, TranscriberError
from transcriber.observability.accounts import BatchAccount
from transcriber.scheduling.policy import Waiting, expired, next_batch
from transcriber.transcript import Hypothesis

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A window's hypothesis, and what became of it on the way.

    Attributes:
        waited_s: Seconds in which it lay waiting, all its tries together.
        worked_s: Seconds that its batches took.
        device_s: Its share of them: of a batch of eight windows, an eighth.
        batch_windows: How many windows its last batch held.
        tries: How many batches it was part of; above 1 when a temperature was not believed.
    """

    hypothesis: Hypothesis
    waited_s: float
    worked_s: float
    device_s: float
    batch_windows: int
    tries: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry(Generic[Work]):
    """A window in the house: the scheduler's own, mutable, touched under the lock or by the one thread that has it."""

    waiting: Waiting
    work: Work
    future: Future[Served]
    since_s: float
    waited_s: float = 0.0
    worked_s: float = 0.0
    device_s: float = 0.0
    tries: int = 0


class Scheduler(Generic[Work]):
    """One queue for the windows of all requests, one thread for each replica.

    A thread that is free takes the best batch there is (`policy.next_batch`) and nothing else is ever waited for, so a
    lone window starts at once and batches fill by themselves while the replicas are busy.
    """

    def __init__(
        self,
        engine: Engine[Work],
        *,
        clock: Callable[[], float],
        tell: Callable[[BatchAccount], None] = lambda _batch: None,
    ) -> None:
        """Store what is given; `start` begins to work.

        Args:
            engine: The model.
            clock: Monotonic seconds.
            tell: Called with each batch that has ended, before its windows are answered; must neither wait nor raise.
        """
        self._engine = engine
        self._clock = clock
        self._tell = tell
        self._largest_batch = engine.capabilities.largest_batch  # lowered when the device runs out of memory
        self._changed = threading.Condition()
        self._waiting: dict[int, _Entry[Work]] = {}
        self._arrivals = itertools.count()
        self._idle = 0
        self._at_work: Counter[int] = Counter()
        self._is_open = False
        self._fault: DeviceFault | None = None
        self._threads: list[threading.Thread] = []

    @property
    def fault(self) -> DeviceFault | None:
        """The fault after which the device will not work again in this process; None while it works."""
        return self._fault

    @property
    def n_waiting(self) -> int:
        """How many windows wait for a batch."""
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """How many batches are being worked on."""
        return len(self._threads) - self._idle

    @property
    def largest_batch(self) -> int:
        """The most windows in one batch; lowered when the device runs out of memory."""
        return self._largest_batch

    def start(self) -> None:
        """Start a thread for each replica."""
        self._is_open = True
        self._threads = [
            threading.Thread(target=self._serve_replica, name=f"replica-{number}", daemon=True)
            for number in range(self._engine.capabilities.replicas)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Refuse what waits, let the batches that run finish, and end the threads."""
        with self._changed:
            self._is_open = False
            refused = list(self._waiting.values())
            self._waiting.clear()
            self._changed.notify_all()
        for entry in refused:
            _fail(entry, Stopping("the container is shutting down; send the request again"))
        for thread in self._threads:
            thread.join()

    def submit(self, work: Work, *, request: int, deadline_s: float) -> Future[Served]:
        """Queue one window.

        Args:
            work: What `Engine.prepare` made of it.
            request: Windows of one request carry one number.
            deadline_s: On the scheduler's clock; afterwards the window fails with `DeadlineExceeded`.

        Returns:
            A future. Cancelling it takes the window out of the queue unless it is being worked on.

        Raises:
            Stopping: The scheduler is closed.
            DeviceFault: The device does not work any more.
        """
        future: Future[Served] = Future()
        with self._changed:
            if self._fault is not None:
                raise self._fault
            if not self._is_open:
                raise Stopping("the container is shutting down; send the request again")
            waiting = Waiting(
                arrival=next(self._arrivals),
                request=request,
                key=self._engine.batch_key(work),
                deadline_s=deadline_s,
            )
            self._waiting[waiting.arrival] = _Entry(waiting=waiting, work=work, future=future, since_s=self._clock())
            self._changed.notify()
        return future

    def _serve_replica(self) -> None:
        batch: list[_Entry[Work]] = []
        try:
            while batch := self._next_batch(batch):
                self._work_on(batch)
        except Exception as error:  # the thread's own door: without it windows would wait for nobody
            log.critical("replica ended", exc_info=error)
            self._give_up(DeviceFault("a part of the container has failed; its log says why", fatal=True), batch)

    def _next_batch(self, previous: list[_Entry[Work]]) -> list[_Entry[Work]]:
        """Wait for work and take it; empty when the scheduler is closed."""
        with self._changed:
            self._at_work.subtract(entry.waiting.request for entry in previous)
            self._at_work += Counter()  # forgets those that are done
            self._idle += 1
            try:
                while self._is_open:
                    self._drop_dead()
                    chosen = next_batch(
                        [entry.waiting for entry in self._waiting.values()],
                        now_s=self._clock(),
                        largest_batch=self._largest_batch,
                        idle_replicas=self._idle,
                        at_work=self._at_work,
                    )
                    if chosen:
                        self._at_work.update(window.request for window in chosen)
                        return [self._waiting.pop(window.arrival) for window in chosen]
                    self._changed.wait()
                return []
            finally:
                self._idle -= 1

    def _drop_dead(self) -> None:
        """Take out windows that nobody waits for any more, and those whose time is up."""
        late = {window.arrival for window in expired([e.waiting for e in self._waiting.values()], now_s=self._clock())}
        for arrival, entry in list(self._waiting.items()):
            if entry.future.cancelled():
                del self._waiting[arrival]
            elif arrival in late:
                del self._waiting[arrival]
                _fail(entry, DeadlineExceeded("the request ran out of time while it waited for the model"))

    def _work_on(self, batch: list[_Entry[Work]]) -> None:
        """Run one batch; when it fails, run its halves, so that only the windows at fault fail."""
        started_s = self._clock()
        waits_s = tuple(started_s - entry.since_s for entry in batch)
        for entry, wait_s in zip(batch, waits_s, strict=True):
            entry.waited_s += wait_s
            entry.tries += 1
        try:
            outcomes = transcribe_batch(self._engine, [entry.work for entry in batch])
        except Exception as error:  # noqa: BLE001 - whatever a batch does, the replica's thread must live on
            self._note(batch, waits_s, took_s=self._clock() - started_s, is_failed=True)
            self._recover(batch, error)
            return
        self._note(batch, waits_s, took_s=self._clock() - started_s)
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Retry):
                self._return(entry, outcome.work)
            else:
                _fulfil(entry, outcome, batch_windows=len(batch))

    def _note(
        self, batch: list[_Entry[Work]], waits_s: tuple[float, ...], *, took_s: float, is_failed: bool = False
    ) -> None:
        for entry in batch:
            entry.worked_s += took_s
            entry.device_s += took_s / len(batch)
        self._tell(BatchAccount(windows=len(batch), took_s=took_s, waits_s=waits_s, is_failed=is_failed))

    def _recover(self, batch: list[_Entry[Work]], error: Exception) -> None:
        log.warning("batch failed", extra={"windows": len(batch), "error": repr(error)}, exc_info=error)
        if isinstance(error, DeviceFault) and error.fatal:
            self._give_up(error, batch)
            return
        if isinstance(error, DeviceFault) and error.out_of_memory:
            self._shrink(len(batch) // 2)
        if len(batch) == 1:
            _fail(batch[0], error)
        else:
            middle = len(batch) // 2
            for half in (batch[:middle], batch[middle:]):
                now_s = self._clock()
                for entry in half:
                    entry.since_s = now_s
                self._work_on(half)

    def _shrink(self, windows: int) -> None:
        """Make no larger batches from now on.

        They do not grow back: what else takes memory of the device, another replica's batch or another process, comes
        again, and a batch that fails costs more than two halves do.
        """
        with self._changed:
            if not 1 <= windows < self._largest_batch:
                return
            self._largest_batch = windows
        log.warning("largest batch lowered", extra={"windows": windows})

    def _give_up(self, fault: DeviceFault, batch: list[_Entry[Work]]) -> None:
        """Fail everything there is: the device is lost to this process."""
        with self._changed:
            self._fault = fault
            lost = [*batch, *self._waiting.values()]
            self._waiting.clear()
        for entry in lost:
            _fail(entry, fault)

    def _return(self, entry: _Entry[Work], work: Work) -> None:
        """Queue a window again, with its first place in the line."""
        entry.work = work
        entry.since_s = self._clock()
        entry.waiting = Waiting(
            arrival=entry.waiting.arrival,
            request=entry.waiting.request,
            key=self._engine.batch_key(work),
            deadline_s=entry.waiting.deadline_s,
        )
        with self._changed:
            if self._is_open and self._fault is None:
                self._waiting[entry.waiting.arrival] = entry
                self._changed.notify()
                return
        _fail(entry, self._fault or Stopping("the container is shutting down; send the request again"))


def _fulfil(entry: _Entry[Work], hypothesis: Hypothesis, *, batch_windows: int) -> None:
    served = Served(
        hypothesis=hypothesis,
        waited_s=entry.waited_s,
        worked_s=entry.worked_s,
        device_s=entry.device_s,
        batch_windows=batch_windows,
        tries=entry.tries,
    )
    if entry.future.set_running_or_notify_cancel():
        entry.future.set_result(served)


def _fail(entry: _Entry[Work], error: Exception) -> None:
    """Hand the failure to whoever waits; what is not ours becomes ours, so that no stack reaches a caller."""
    if not isinstance(error, TranscriberError):
        fault = DeviceFault("the model failed on this audio")
        fault.__cause__ = error
        error = fault
    if not entry.future.done() and entry.future.set_running_or_notify_cancel():
        entry.future.set_exception(error)
