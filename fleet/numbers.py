"""Numbers of a command line, for argparse's `type`."""

from __future__ import annotations

from argparse import ArgumentTypeError


def count(text: str) -> int:
    """Understand a whole number from 0 on.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def whole(text: str) -> int:
    """Understand a whole number from 1 on.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def positive(text: str) -> float:
    """Understand a number above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def wholes(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them, ascending.

    Raises:
        ArgumentTypeError: One of them is none, or below 1.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentTypeError(f"{text!r} is not whole numbers above 0 with commas between, such as 1,5,10")
    return tuple(sorted({int(part) for part in parts}))
