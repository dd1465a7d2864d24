"""What an asynchronous endpoint has still to do: the state, without clock or thread."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One asynchronous invocation, as it was submitted.

    Attributes:
        received_s: When it came, seconds on the clock that the backlog is asked with.
        ttl_s: How long it may wait.
        timeout_s: How long the container may take.
        headers: What the container is to see.
        input_location: Where the body is, or None for an inline body.
        body: The inline body, or None.
        output_location, failure_location: Where the answer goes; the failure goes nowhere when it is None.
    """

    inference_id: str
    received_s: float
    ttl_s: float
    timeout_s: float
    output_location: str
    failure_location: str | None = None
    input_location: str | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Backlog:
    """Orders that wait, first come first served, and how many are being worked on.

    Not for several threads at once; its owner has a lock.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Order] = OrderedDict()
        self._counter = 0
        self._in_work = 0

    @property
    def waiting(self) -> int:
        """Orders that nobody works on yet."""
        return len(self._waiting)

    @property
    def size(self) -> int:
        """`ApproximateBacklogSize`: orders "currently being processed or yet to be processed"."""
        return self.waiting + self._in_work

    def add(self, order: Order) -> None:
        """Let an order wait."""
        self._waiting[self._counter] = order
        self._counter += 1

    def take(self, *, now_s: float) -> Order | None:
        """Take the order that has waited longest and is still worth doing; `done` must follow."""
        for number, order in self._waiting.items():
            if now_s - order.received_s <= order.ttl_s:
                del self._waiting[number]
                self._in_work += 1
                return order
        return None

    def done(self) -> None:
        """Count one order less in work."""
        self._in_work -= 1

    def expire(self, *, now_s: float) -> list[Order]:
        """Remove and return the orders that have waited for longer than they may."""
        late = [number for number, order in self._waiting.items() if now_s - order.received_s > order.ttl_s]
        return [self._waiting.pop(number) for number in late]

    def oldest_s(self, *, now_s: float) -> float:
        """`ApproximateAgeOfOldestRequest`: how long the first in line has waited; 0 when nobody waits."""
        first = next(iter(self._waiting.values()), None)
        return 0.0 if first is None else now_s - first.received_s
