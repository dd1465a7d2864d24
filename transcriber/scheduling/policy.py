"""Which windows make the next batch: a pure function of what is waiting.

The rules, in the order in which they win:

1. Work is never held back while a replica is idle.
2. A batch holds windows of one key only, and no more than the engine takes.
3. Requests take turns: everybody's first window goes before anybody's second, those that a replica works on counted in,
   and among equals the one that has waited longest goes first. So an hour-long recording and a three-second one that
   arrives later share the next batch, or the three seconds go first where a batch has room for one.
4. Windows whose time is up are not worked on.
5. When several replicas are idle they share what is waiting, so that none stays idle beside a full batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What the policy knows of a window.

    Attributes:
        arrival: Ascending number of the window's arrival; a window that returns for another temperature keeps its own.
        request: Which request it belongs to.
        key: Windows with equal keys may share a batch.
        deadline_s: On the scheduler's clock; the window is worthless afterwards.
    """

    arrival: int
    request: int
    key: Hashable
    deadline_s: float


def expired(waiting: Sequence[Waiting], *, now_s: float) -> list[Waiting]:
    """Return the windows whose time is up."""
    return [window for window in waiting if window.deadline_s <= now_s]


def next_batch(
    waiting: Sequence[Waiting],
    *,
    now_s: float,
    largest_batch: int,
    idle_replicas: int = 1,
    at_work: Mapping[int, int] = MappingProxyType({}),
) -> list[Waiting]:
    """Choose the next batch.

    Args:
        waiting: Everything that waits, in any order.
        now_s: The time, on the clock of the deadlines.
        largest_batch: The most windows that the engine takes, at least 1.
        idle_replicas: How many replicas could start a batch now, at least 1.
        at_work: Request -> how many of its windows replicas work on.

    Returns:
        The windows of the batch, the most urgent first; empty only when nothing that waits has time left.

    Example:
        >>> a, b, c = (Waiting(arrival=i, request=r, key="k", deadline_s=9) for i, r in enumerate((7, 7, 8)))
        >>> [w.arrival for w in next_batch([a, b, c], now_s=0, largest_batch=2)]
        [0, 2]
    """
    turns = Counter(at_work)
    ranked: list[tuple[int, int, Waiting]] = []
    for window in sorted(waiting, key=lambda window: window.arrival):
        if window.deadline_s <= now_s:
            continue
        ranked.append((turns[window.request], window.arrival, window))
        turns[window.request] += 1
    if not ranked:
        return []
    ordered = [window for _turn, _arrival, window in sorted(ranked, key=lambda entry: entry[:2])]
    alike = [window for window in ordered if window.key == ordered[0].key]
    share = -(-len(ordered) // idle_replicas)
    return alike[: min(largest_batch, max(1, share))]
