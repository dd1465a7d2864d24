from __future__ import annotations

import json
from contextlib import suppress
from itertools import combinations
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.wire.foreign import parse
from transcriber.errors import MalformedRequest, TranscriberError
from transcriber.options import Dialect
from transcriber.wire import dialects, json_body
from transcriber.wire.generation import WhisperGenerationFields
from transcriber.wire.hugging_face import HuggingFaceFields, ParameterFields
from transcriber.wire.job import Job
from transcriber.wire.jumpstart import JumpStartFields
from transcriber.wire.parakeet import ParakeetFields
from transcriber.wire.voxtral import TranscriptionFields, VoxtralFields

B64 = "UklGRg=="
SHORTEST: dict[Dialect, dict[str, Any]] = {
    Dialect.OWN: {"audio_b64": B64},
    Dialect.JUMPSTART: {"audio_input": "5249"},
    Dialect.HUGGING_FACE: {"inputs": B64},
    Dialect.VOXTRAL: {"transcription": {"audio": {"data": B64}}},
    Dialect.PARAKEET: {"audio": {"data": B64}},
}
MODELS = [
    JumpStartFields,
    HuggingFaceFields,
    ParameterFields,
    WhisperGenerationFields,
    VoxtralFields,
    TranscriptionFields,
    ParakeetFields,
    json_body.JsonFields,
]


@pytest.mark.parametrize("dialect", SHORTEST)
def test_a_body_is_known_by_the_field_of_its_audio(dialect: Dialect) -> None:
    assert parse(SHORTEST[dialect]).answer.dialect is dialect


def test_every_dialect_of_json_is_among_them() -> None:
    """OpenAI's is a form."""
    assert set(SHORTEST) == set(Dialect) - {Dialect.OPENAI}
    assert len(dialects.FOREIGN) == len(SHORTEST) - 1


@pytest.mark.parametrize("pair", list(combinations(SHORTEST, 2)), ids=str)
def test_dialects_do_not_mix(pair: tuple[Dialect, Dialect]) -> None:
    one, other = (SHORTEST[dialect] for dialect in pair)

    with pytest.raises(MalformedRequest, match="different dialects") as refusal:
        parse(one | other)
    assert all(f"'{name}'" in refusal.value.message for name in one | other)


@pytest.mark.parametrize("dialect", sorted(set(SHORTEST) - {Dialect.OWN}))
def test_our_options_are_no_fields_of_other_dialects(dialect: Dialect) -> None:
    with pytest.raises(MalformedRequest, match="'vad_filter' is not a field here"):
        parse(SHORTEST[dialect] | {"vad_filter": True})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.characters(categories=["Cs"])
    | st.sampled_from(
        ["", "de", "word", B64, "5249", "[0, 1]", "https://a.net/b", "s3://calls/a", "data:audio/wav;base64,"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                sorted({name for model in MODELS for name in model.model_fields} | {"data", "path", "raw", "array"})
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(sorted(SHORTEST)),
    st.dictionaries(
        st.sampled_from(sorted({name for model in MODELS for name in model.model_fields})), VALUES, max_size=4
    ),
)
@example(Dialect.JUMPSTART, {"do_sample": "\ud7fc"})  # a letter that Unicode has not given out
def test_no_json_breaks_a_dialect(dialect: Dialect, given_fields: dict[str, Any]) -> None:
    try:
        job, sentence = parse(SHORTEST[dialect] | given_fields), ""
    except TranscriberError as refusal:
        job, sentence = None, refusal.message

    assert isinstance(job, Job) or (sentence and sentence.isprintable() and len(sentence.encode()) < 2048)


@given(VALUES)
def test_no_json_at_all_breaks_the_door(value: Any) -> None:
    with suppress(TranscriberError):
        assert isinstance(parse(value), Job)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_says_what_it_accepts(model: Any) -> None:
    """The sentences of refusals are made of it, and the published schema."""
    schema = model.model_json_schema()

    assert all(field.description for field in model.model_fields.values())
    assert all("description" in field for field in schema["properties"].values())
    assert schema["additionalProperties"] is False
    json.dumps(schema)
