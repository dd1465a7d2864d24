"""Seconds -> whole milliseconds -> the clock text of subtitles."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def milliseconds(seconds: float) -> int:
    """Round to whole milliseconds, halves up, as the number is written in decimal; what is negative becomes 0.

    Binary fractions would betray it: 2.01 * 1000 is 2009.9999999999998.

    Example:
        >>> milliseconds(2.01), milliseconds(59.9996), milliseconds(0.0005)
        (2010, 60000, 1)
    """
    # float() because numpy's floats write themselves as np.float32(2.01).
    return max(0, int((Decimal(repr(float(seconds))) * 1000).quantize(Decimal(1), ROUND_HALF_UP)))


def srt_clock(stamp_ms: int) -> str:
    """Write a point in time for SubRip: 00:01:02,345. Hours take more digits when they need them."""
    return _clock(stamp_ms, ",")


def vtt_clock(stamp_ms: int) -> str:
    """Write a point in time for WebVTT: 00:01:02.345. Hours are always written."""
    return _clock(stamp_ms, ".")


def _clock(stamp_ms: int, point: str) -> str:
    whole_s, ms = divmod(stamp_ms, 1000)
    minutes, s = divmod(whole_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{s:02}{point}{ms:03}"
