"""How far what was heard is from what was said, as jiwer counts it."""

import unicodedata
from collections.abc import Iterable

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
"""Languages whose words are not set apart: characters are counted instead."""


def words(text: str, language: str) -> str:
    """Reduce a text to what is compared: lower-case words, or characters set apart, without punctuation.

    Example:
        >>> words(" Forty-two, please.", "en")
        'forty two please'
    """
    letters = (" " if unicodedata.category(letter)[0] in "PSZ" else letter for letter in text.lower())
    plain = "".join(letters)
    return " ".join(plain.replace(" ", "") if language in UNSPACED else plain.split())


def error_rate(pairs: Iterable[tuple[str, str]], language: str) -> float | None:
    """Give the word (or character) error rate over all (true, heard) texts together; None when there are none."""
    import jiwer  # noqa: PLC0415  only now known to be installed

    normal = [(words(true, language), words(heard, language)) for true, heard in pairs]
    if not normal:
        return None
    return float(jiwer.wer([true for true, _ in normal], [heard for _, heard in normal]))
