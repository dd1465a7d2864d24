"""Spans of speech -> passages that an engine reads window by window, and the way back to the recording's clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of the recording, in samples, half open: [start, stop)."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a span runs forward from 0 on, not from {self.start} to {self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Speech that is read from its start to its end by consecutive windows.

    Attributes:
        spans: The stretches of the recording it joins, ascending, not overlapping, at least one.
    """

    spans: tuple[Span, ...]
