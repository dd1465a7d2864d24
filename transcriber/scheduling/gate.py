"""A door for the work of requests' own threads: as many at once as there are cores, first come first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from transcriber.errors import DeadlineExceeded


class Gate:
    """Lets some threads work and the others wait for their turn.

    Decoding, speech detection and features of sixty requests at once would share the cores among sixty threads: each
    would take sixty times as long, none would hand the model a window soon, and /ping would wait in between. Nobody
    keeps a place here while he waits for the model.
    """

    def __init__(self, places: int) -> None:
        """Open the gate.

        Args:
            places: How many may work at once, at least 1.
        """
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, *, within_s: float) -> Iterator[None]:
        """Wait for a place and keep it for the length of the block; who finds one free does not wait.

        Args:
            within_s: How long to wait at most, in seconds.

        Raises:
            DeadlineExceeded: No place became free in that time.
        """
        with self._lock:
            called = None if self._free else threading.Event()
            if called is None:
                self._free -= 1
            else:
                self._waiting.append(called)
        if called is not None and not called.wait(within_s):
            self._give_up(called)
        try:
            yield
        finally:
            self._leave()

    def _give_up(self, called: threading.Event) -> None:
        """Leave the line; or return, when the place has come in the last moment."""
        with self._lock:
            if called.is_set():
                return
            self._waiting.remove(called)
        raise DeadlineExceeded("the request ran out of time while it waited for a core to decode on")

    def _leave(self) -> None:
        """Hand the place to whoever has waited longest, so that nobody who comes later can take it."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
