"""Rows of text in columns, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Return lines whose columns stand below each other.

    Args:
        head: The columns' names.
        rows: As many cells each.
        right: Columns that end below each other, for numbers.

    Example:
        >>> print(table(["job", "s"], [["a", "10"], ["bc", "9"]], right=frozenset({1})))
        job   s
        a    10
        bc    9
    """
    every = [head, *rows]
    widths = [max(columns_of(row[column]) for row in every) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            _padded(cell, width, to_right=number in right)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    )


def columns_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a Chinese character, none for an accent."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def shortened(text: str, columns: int) -> str:
    """Return a text as one line of at most so many columns, cut with an ellipsis.

    Example:
        >>> shortened("one two", 5), shortened("八零。", 4)
        ('one …', '八…')
    """
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(line.split())
    if columns_of(line) <= columns:
        return line
    while columns_of(line) > columns - 1:
        line = line[:-1]
    return f"{line}…"


def clock_text(seconds: float) -> str:
    """Write a time as minutes and seconds.

    Example:
        >>> clock_text(59.6), clock_text(3725)
        ('1:00', '62:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _padded(text: str, columns: int, *, to_right: bool) -> str:
    space = " " * (columns - columns_of(text))
    return f"{space}{text}" if to_right else f"{text}{space}"
