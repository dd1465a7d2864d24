"""How far many jobs are: a bar on a terminal, now and then a line in a log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from fleet.client.tables import clock_text

BAR_COLUMNS = 30
LINE_EVERY_S = 10.0
"""Least time between two lines when nobody watches a terminal."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """Shows how many of `total` are done.

    Attributes:
        what: What is counted: "uploaded", "submitted", "ended".
        screen: Where to write.
        clock: Seconds.
    """

    what: str
    total: int
    screen: TextIO
    clock: Callable[[], float]
    _begun_s: float = field(init=False)
    _wrote_s: float | None = None
    _last: str = ""

    def __post_init__(self) -> None:
        self._begun_s = self.clock()

    def show(self, count: int, note: str = "") -> None:
        """Show that so many are done."""
        now_s = self.clock()
        words = f"{count}/{self.total} {self.what}{note}"
        if self.screen.isatty():
            full = BAR_COLUMNS * count // max(self.total, 1)
            bar = f"[{'#' * full}{'.' * (BAR_COLUMNS - full)}]"
            self._write(f"\r{bar} {words} {clock_text(now_s - self._begun_s)}\x1b[K")
        elif words != self._last and (
            count == self.total or self._wrote_s is None or now_s - self._wrote_s >= LINE_EVERY_S
        ):
            self._write(f"{clock_text(now_s - self._begun_s)} {words}\n")
            self._wrote_s, self._last = now_s, words

    def close(self) -> None:
        """Let the next line begin on one of its own."""
        if self.screen.isatty():
            self._write("\n")

    def _write(self, text: str) -> None:
        self.screen.write(text)
        self.screen.flush()
