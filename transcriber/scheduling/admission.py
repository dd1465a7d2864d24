"""How much may be in flight; what is beyond that is refused at once."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from transcriber.errors import Busy

LONGEST_RETRY_S = 120
"""Asking a caller to stay away longer than this would only hide that more instances are needed."""


class Admission:
    """Counts requests in flight and the seconds of audio that wait, and refuses beyond the limits.

    A request is admitted before its body is read, so that a refusal costs neither disk nor memory; its seconds are
    counted once they are known.
    """

    def __init__(self, *, limit_requests: int, limit_waiting_s: float, clock: Callable[[], float]) -> None:
        """Store the limits.

        Args:
            limit_requests: Requests that may be in flight.
            limit_waiting_s: Seconds of audio that may wait before new requests are refused.
            clock: Monotonic seconds.
        """
        self._limit_requests = limit_requests
        self._limit_waiting_s = limit_waiting_s
        self._clock = clock
        self._lock = threading.Lock()
        self._requests = 0
        self._waiting_s = 0.0
        self._settled_s = 0.0
        self._busy_s = 0.0
        self._busy_since = 0.0

    @property
    def requests(self) -> int:
        """How many requests are in flight."""
        return self._requests

    @property
    def waiting_s(self) -> float:
        """How many seconds of audio are admitted and not settled."""
        return self._waiting_s

    @contextmanager
    def admit(self) -> Iterator[Ticket]:
        """Let one request in for the length of the block.

        Raises:
            Busy: The limits are reached; says after how many seconds trying again is sensible.
        """
        with self._lock:
            if self._requests >= self._limit_requests:
                raise Busy(
                    f"{self._requests} requests are in flight, as many as this container takes; try again later",
                    retry_after_s=self._retry_after_s(),
                )
            if self._waiting_s >= self._limit_waiting_s:
                raise Busy(
                    f"{self._waiting_s:.0f} seconds of audio are waiting, which is as much as this container takes; "
                    "try again later",
                    retry_after_s=self._retry_after_s(),
                )
            if self._requests == 0:
                self._busy_since = self._clock()
            self._requests += 1
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            self._leave(ticket.waiting_s)

    def _leave(self, unsettled_s: float) -> None:
        with self._lock:
            self._requests -= 1
            self._waiting_s = max(0.0, self._waiting_s - unsettled_s)
            if self._requests == 0:
                self._waiting_s = 0.0
                self._busy_s += self._clock() - self._busy_since

    def _count(self, seconds: float) -> None:
        with self._lock:
            self._waiting_s += seconds

    def _settle(self, seconds: float) -> None:
        with self._lock:
            self._waiting_s = max(0.0, self._waiting_s - seconds)
            self._settled_s += seconds

    def _retry_after_s(self) -> int:
        """How long half of what waits will take, at the speed measured so far (1 when there is nothing to go by)."""
        busy_s = self._busy_s + (self._clock() - self._busy_since if self._requests else 0.0)
        if not self._settled_s or not self._waiting_s:
            return 1
        return max(1, min(LONGEST_RETRY_S, math.ceil(self._waiting_s / 2 * busy_s / self._settled_s)))


class Ticket:
    """One admitted request's share of what waits."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._weight_s = 0.0
        self.waiting_s = 0.0

    @property
    def others(self) -> int:
        """How many other requests are in flight."""
        return self._admission.requests - 1

    def weigh(self, seconds: float) -> None:
        """Say how much audio the request brings in all, settled or not; may be said again as more is known."""
        self.count(seconds - self._weight_s)

    def count(self, seconds: float) -> None:
        """Add audio that now waits."""
        self._weight_s += seconds
        self.waiting_s += seconds
        self._admission._count(seconds)  # noqa: SLF001 - the two are one thing in two classes

    def settle(self, seconds: float) -> None:
        """Take off audio that has been worked on; never more than was counted."""
        seconds = min(seconds, self.waiting_s)
        self.waiting_s -= seconds
        self._admission._settle(seconds)  # noqa: SLF001
