"""What the programs take for numbers."""

from __future__ import annotations

import argparse

import pytest

from fleet import numbers


@pytest.mark.parametrize("text", ["", "0", "1,,2", "1.5", "-1", "a"])
def test_numbers_are_whole_and_above_zero(text: str) -> None:
    assert numbers.wholes("20,1, 5,5") == (1, 5, 20)
    with pytest.raises(argparse.ArgumentTypeError):
        numbers.wholes(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
def test_seconds_are_above_zero(text: str) -> None:
    assert numbers.positive("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError):
        numbers.positive(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "a"])
def test_counts_begin_at_zero_and_whole_numbers_at_one(text: str) -> None:
    assert (numbers.count("0"), numbers.whole("1")) == (0, 1)
    with pytest.raises(argparse.ArgumentTypeError):
        numbers.whole("0")
    for understand in (numbers.count, numbers.whole):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a whole number from"):
            understand(text)
