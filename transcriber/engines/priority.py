"""Lets a thread give way to others."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

BACKGROUND_STEPS = 3
"""Steps of niceness: such a thread gets half the time of one that competes with it for a core."""


def lower_priority() -> None:
    """Let the calling thread, and every thread that it starts from now on, give way to the others of the process.

    On Linux niceness belongs to a thread and is inherited by those it starts, CTranslate2's and OpenMP's among them.
    Elsewhere, or when the system refuses, nothing happens.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        thread = threading.get_native_id()
        niceness = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, niceness + BACKGROUND_STEPS))
