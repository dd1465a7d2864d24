from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.client.errors import Misused
from fleet.client.wishes import FORMS, Wishes, wishes_of
from transcriber.options import ResponseFormat
from transcriber.wire.raw_body import _options

VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda value: value == value.strip())


def test_attributes_carry_every_wish() -> None:
    wishes = wishes_of(language="de", task="translate", words=True, form="srt", more=("beam_size=1",))

    assert wishes.attributes == "language=de;task=translate;response_format=srt;word_timestamps=true;beam_size=1"


@given(VALUES)
def test_the_container_reads_any_text_as_it_was_said(value: str) -> None:
    wishes = Wishes(options=(("initial_prompt", value), ("hotwords", "a;b=c%20")))
    if len(wishes.attributes) <= 1024:
        assert _options(wishes.attributes) == {"initial_prompt": value, "hotwords": "a;b=c%20"}


def test_a_json_body_has_values_of_json() -> None:
    wishes = wishes_of(words=True, more=("beam_size=1", "temperature=0,0.4", "log_prob_threshold=null", "hotwords=7"))

    assert wishes.fields == {
        "word_timestamps": True,
        "beam_size": 1,
        "temperature": [0, 0.4],
        "log_prob_threshold": None,
        "hotwords": "7",
    }


def test_forms_are_those_of_the_container() -> None:
    assert set(FORMS) == {form.value for form in ResponseFormat}


@pytest.mark.parametrize(("form", "ending"), [("srt", ".srt"), ("text", ".txt"), ("verbose_json", ".json")])
def test_files_end_as_their_form_says(form: str, ending: str) -> None:
    assert wishes_of(form=form).ending == ending


def test_a_stream_is_asked_for_by_accept() -> None:
    assert (wishes_of(stream=True).accept, wishes_of().accept) == ("application/jsonlines", None)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"more": ("beam_size",)}, "looks like --option beam_size=1"),
        ({"more": ("Beam=1",)}, "looks like --option beam_size=1"),
        ({"language": "de", "more": ("language=en",)}, "language is given twice"),
        ({"more": ("response_format=pdf",)}, "it can be json, verbose_json, text, srt, vtt"),
        ({"form": "srt", "stream": True}, "leave one of the two out"),
        ({"more": ("initial_prompt=" + "é" * 300,)}, "SageMaker hands on 1024"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_before_anything_is_sent(said: dict[str, object], sentence: str) -> None:
    with pytest.raises(Misused, match=sentence):
        wishes_of(**said)  # type: ignore[arg-type] # a table of all kinds
