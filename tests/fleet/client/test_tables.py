from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.client.tables import columns_of, shortened, table


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = table(["text", "s"], [["八零", "1"], ["ab", "10"]], right=frozenset({1})).splitlines()

    assert lines == ["text   s", "八零   1", "ab    10"]


@given(st.text(max_size=40), st.integers(1, 30))
def test_shortened_text_is_one_line_that_fits(text: str, columns: int) -> None:
    line = shortened(text, columns)

    assert columns_of(line) <= columns
    assert line.isprintable()


def test_text_that_fits_is_left_whole() -> None:
    assert shortened("a  b\nc", 5) == "a b c"
