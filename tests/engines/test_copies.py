"""Which copy of a small model a batch gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from faster_whisper import WhisperModel
from hypothesis import given
from hypothesis import strategies as st

from transcriber.engines.copies import Copies, Wide


@dataclass
class FakeDevice:
    """The part of CTranslate2's model that is handed out, and unloaded."""

    unloaded: list[str] = field(default_factory=list)
    name: str = ""

    def unload_model(self) -> None:
        self.unloaded.append(self.name)


def model(name: str) -> WhisperModel:
    return cast(WhisperModel, SimpleNamespace(model=FakeDevice(name=name)))


def copies(*, at_once: int = 1, decodes: bool = True) -> Copies:
    return Copies(model("narrow"), Wide(model=model("wide"), at_once=at_once, decodes=decodes))


def chosen(copies: Copies, *, others: int = 0) -> tuple[str, str]:
    """Return which copy encodes and which decodes for a batch that comes now."""
    with copies.at_work():
        encoder, decoder = copies.encoder(others=others), copies.decoder(others=others)
        return cast(FakeDevice, encoder).name, cast(FakeDevice, decoder.model).name


@given(at_once=st.integers(1, 4), at_work=st.integers(0, 6), others=st.integers(0, 6))
def test_the_wide_copy_takes_as_many_as_have_cores_enough(at_once: int, at_work: int, others: int) -> None:
    both = copies(at_once=at_once)
    has_room = at_work < at_once and others < at_once
    with both.at_work(at_work):
        assert chosen(both, others=others) == (("wide", "wide") if has_room else ("narrow", "narrow"))

    assert chosen(both) == ("wide", "wide")


def test_steps_that_are_too_short_for_several_threads_are_left_to_one() -> None:
    assert chosen(copies(decodes=False)) == ("wide", "narrow")


def test_who_comes_while_a_window_is_encoded_is_counted_when_it_is_decoded() -> None:
    both = copies()
    with both.at_work():
        assert cast(FakeDevice, both.encoder(others=0)).name == "wide"
        with both.at_work():
            assert cast(FakeDevice, both.decoder(others=0).model).name == "narrow"


def test_a_batch_that_fails_is_not_counted_any_more() -> None:
    both = copies()
    with pytest.raises(RuntimeError), both.at_work():
        raise RuntimeError

    assert chosen(both) == ("wide", "wide")


def test_without_a_wide_copy_one_does_everything() -> None:
    alone = Copies(model("narrow"))

    assert not alone.has_wide
    assert chosen(alone) == ("narrow", "narrow")
    with alone.crowded():
        assert chosen(alone) == ("narrow", "narrow")


def test_in_a_crowd_there_is_no_room_for_the_wide_copy() -> None:
    both = copies(at_once=2)

    assert both.has_wide
    with both.crowded():
        assert chosen(both) == ("narrow", "narrow")


def test_both_are_unloaded() -> None:
    narrow, wide = model("narrow"), model("wide")
    Copies(narrow, Wide(model=wide, at_once=1, decodes=True)).unload()

    assert [cast(FakeDevice, each.model).unloaded for each in (narrow, wide)] == [["narrow"], ["wide"]]
