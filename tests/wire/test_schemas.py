from __future__ import annotations

import json

import jsonschema
import pytest

from tests.conftest import ROOT
from tests.wire.test_dialects import SHORTEST
from transcriber.options import Dialect
from transcriber.wire.schemas import BODIES, schema_of

BAD: dict[Dialect, list[dict[str, object]]] = {
    Dialect.OWN: [{}, {"audio_b64": "", "beam_size": "5"}, {"audio_b64": "", "s3_uri": ""}],
    Dialect.JUMPSTART: [{}, {"audio_input": "525"}, {"audio_input": ["a"]}, {"audio_input": "52", "x": 1}],
    Dialect.HUGGING_FACE: [{}, {"inputs": ["a"]}, {"inputs": "", "parameters": {"return_timestamps": "char"}}],
    Dialect.VOXTRAL: [{}, {"transcription": {}}, {"transcription": {"audio": 5}}],
    Dialect.PARAKEET: [{}, {"audio": {"date": ""}}, {"audio": "", "timestamps": "yes"}],
    Dialect.OPENAI: [{"timestamp_granularities[]": ["char"]}, {"file": "a"}],
}


def test_every_dialect_has_a_schema() -> None:
    assert set(BODIES) == set(Dialect) == set(BAD)


@pytest.mark.parametrize("dialect", Dialect)
def test_the_published_schema_is_what_is_understood(dialect: Dialect) -> None:
    """After a change: scripts/write_schemas.py."""
    published = (ROOT / "docs" / "schemas" / f"{dialect}.json").read_text("utf-8")

    assert json.loads(published) == json.loads(json.dumps(schema_of(dialect)))


@pytest.mark.parametrize("dialect", Dialect)
def test_a_schema_takes_what_is_taken_and_refuses_what_is_refused(dialect: Dialect) -> None:
    schema = schema_of(dialect)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)

    assert validator.is_valid(SHORTEST.get(dialect, {"model": "whisper-1"}))
    assert not any(validator.is_valid(body) for body in BAD[dialect])
