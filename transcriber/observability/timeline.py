"""Marks on the way from the start of the process to the first healthy ping."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, get_args

TICKS_PER_SECOND = 100
"""USER_HZ, which Linux fixes for /proc whatever the kernel's own clock (proc(5))."""

Mark = Literal["imported", "model_found", "loaded", "warmed", "ready", "first_healthy_ping"]
MARKS: tuple[Mark, ...] = get_args(Mark)


class Timeline:
    """Seconds since the process began, by name; each mark is set once."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, began_s: float | None = None) -> None:
        """Begin to count.

        Args:
            clock: Monotonic seconds.
            began_s: When the process began, on that clock; None asks the kernel.
        """
        self._clock = clock
        self._began_s = process_start_s() if began_s is None else began_s
        self._lock = threading.Lock()
        self._marks: dict[Mark, float] = {}

    def mark(self, name: Mark) -> bool:
        """Note that something has happened now; True when it is the first time."""
        with self._lock:
            if name in self._marks:
                return False
            self._marks[name] = round(self._clock() - self._began_s, 3)
            return True

    def marks(self) -> Mapping[Mark, float]:
        """Return the marks in the order in which they were set."""
        with self._lock:
            return dict(self._marks)

    def seconds(self) -> Mapping[str, float]:
        """Return the marks as `<name>_after_s`, in the order in which they were set."""
        return {f"{name}_after_s": seconds for name, seconds in self.marks().items()}


def process_start_s(process: int | Literal["self"] = "self") -> float:
    """Return when a process began, on `time.monotonic`'s clock (both count from the boot of the machine)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
        return float(fields[19]) / TICKS_PER_SECOND
    except (OSError, IndexError, ValueError):
        return time.monotonic()


def server_age_s() -> float:
    """Return how old the process that started this one was when it did: gunicorn, which SageMaker starts.

    What gunicorn took to come up, in a container that has just been started; how long the container has run, when this
    process replaces one that died.
    """
    return max(0.0, process_start_s() - process_start_s(os.getppid()))
