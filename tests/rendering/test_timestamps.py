from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.rendering.timestamps import milliseconds, srt_clock, vtt_clock

SECONDS = st.floats(min_value=-10, max_value=1e9)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "00:00:00,000"),
        (2.01, "00:00:02,010"),
        (59.9996, "00:01:00,000"),
        (59.9994, "00:00:59,999"),
        (3599.9995, "01:00:00,000"),
        (62.345, "00:01:02,345"),
        (0.0005, "00:00:00,001"),
        (2.0005, "00:00:02,001"),
        (-1.5, "00:00:00,000"),
        (-0.0, "00:00:00,000"),
        (100 * 3600.0, "100:00:00,000"),
    ],
)
def test_clocks_show_the_nearest_millisecond(seconds: float, expected: str) -> None:
    stamp_ms = milliseconds(seconds)

    assert srt_clock(stamp_ms) == expected
    assert vtt_clock(stamp_ms) == expected.replace(",", ".")


def test_every_centisecond_of_ten_minutes_is_exact() -> None:
    assert all(milliseconds(i / 100) == i * 10 for i in range(60_000))


def test_every_millisecond_of_a_minute_is_exact() -> None:
    assert all(milliseconds(i / 1000) == i for i in range(60_000))


@given(SECONDS, SECONDS)
def test_later_never_becomes_earlier(one: float, other: float) -> None:
    assert milliseconds(min(one, other)) <= milliseconds(max(one, other))


@given(SECONDS)
def test_clock_text_can_be_read_back(seconds: float) -> None:
    stamp_ms = milliseconds(seconds)

    found = re.fullmatch(r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3})", srt_clock(stamp_ms))

    assert found is not None
    hours, minutes, whole_s, ms = map(int, found.groups())
    assert ((hours * 60 + minutes) * 60 + whole_s) * 1000 + ms == stamp_ms


def test_floats_of_numpy_are_rounded_like_others() -> None:
    assert milliseconds(np.float64(2.01)) == 2010
