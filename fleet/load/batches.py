"""What the container's own log says of its batches."""

from __future__ import annotations

import json
from collections.abc import Iterable


def batch_ms_of(lines: Iterable[str]) -> float | None:
    """Return how long a batch took that a window was part of, on average over windows, in milliseconds.

    Each request's line says how many windows it had, how often one was tried again, and how many seconds their batches
    took together.

    Args:
        lines: Lines of the log. Those that do not tell of a request are passed over.

    Returns:
        Milliseconds; None when no line tells.

    Example:
        >>> batch_ms_of(['{"event": "request done", "windows": 3, "fallbacks": 1, "worked_s": 0.5}'])
        125.0
    """
    tries = 0
    worked_s = 0.0
    for line in lines:
        if '"request done"' not in line or '"worked_s"' not in line:
            continue
        told = json.loads(line)
        tries += told["windows"] + told["fallbacks"]
        worked_s += told["worked_s"]
    return worked_s / tries * 1000 if tries else None
