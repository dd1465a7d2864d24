"""Waiting for another process, not without end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

WITHIN_S = 60.0
LOOK_EVERY_S = 0.05


def comes_about(look: Callable[[], Found], *, within_s: float = WITHIN_S) -> Found:
    """Look again and again until something is there; return it, or the nothing that was seen last."""
    ends_s = time.monotonic() + within_s
    while not (found := look()) and time.monotonic() < ends_s:
        time.sleep(LOOK_EVERY_S)  # there is no other clock than the other process's own
    return found


def wait_until(look: Callable[[], Found], what: str = "what was waited for", *, within_s: float = WITHIN_S) -> Found:
    """Return what is there as soon as it is; fail when it does not come about."""
    found = comes_about(look, within_s=within_s)
    assert found, f"{what} did not come about within {within_s:g} s"
    return found
