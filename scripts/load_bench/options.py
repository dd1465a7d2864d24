"""What is typed: whole numbers with commas between them, and numbers above 0."""

from __future__ import annotations

import argparse


def numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them, ascending.

    Raises:
        ArgumentTypeError: One of them is none, or below 1.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not whole numbers above 0 with commas between, such as 1,5,10")
    return tuple(sorted({int(part) for part in parts}))


def positive(text: str) -> float:
    """Read a number above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
