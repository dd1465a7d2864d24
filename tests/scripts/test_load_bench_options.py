"""What the programs that measure take for numbers."""

from __future__ import annotations

import argparse

import pytest

from scripts.load_bench import options


@pytest.mark.parametrize("text", ["", "0", "1,,2", "1.5", "-1", "a"])
def test_numbers_are_whole_and_above_zero(text: str) -> None:
    assert options.numbers("20,1, 5,5") == (1, 5, 20)
    with pytest.raises(argparse.ArgumentTypeError):
        options.numbers(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast"])
def test_seconds_are_above_zero(text: str) -> None:
    assert options.positive("0.5") == 0.5
    with pytest.raises(argparse.ArgumentTypeError):
        options.positive(text)
