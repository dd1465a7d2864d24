"""The end of a long row of numbers, as far back as it is still needed."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)


class Tail(Generic[Number]):
    """A row that grows at its end and is forgotten from its beginning; positions count from the row's first number."""

    def __init__(self, row: npt.NDArray[Number]) -> None:
        """Begin with the numbers there are; an empty row says of what kind they will be."""
        self._held = row
        self._start = 0

    @property
    def stop(self) -> int:
        """How many numbers there have been."""
        return self._start + len(self._held)

    def extend(self, row: npt.NDArray[Number]) -> None:
        """Add what comes next."""
        self._held = np.concatenate((self._held, row))

    def forget(self, before: int) -> None:
        """Let go of everything that stands before a position; what is forgotten already may be named again."""
        dropped = max(0, before - self._start)
        self._held = self._held[dropped:].copy()
        self._start += dropped

    def between(self, start: int, stop: int) -> npt.NDArray[Number]:
        """Return the numbers of [start, stop) that are there, without copying; none of them may be forgotten."""
        if start < self._start:
            raise ValueError(f"what stands at {start} is forgotten up to {self._start}")
        return self._held[start - self._start : max(start, stop) - self._start]
