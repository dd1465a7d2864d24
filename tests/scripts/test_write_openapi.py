"""The published OpenAPI document says what the container does, no more and no less."""

from __future__ import annotations

import json
from typing import TypedDict

import pytest

from app import STATUS, create
from inference import ModelService
from scripts.write_openapi import document, schema_of_answer
from tests.conftest import ROOT
from transcriber.errors import Kind
from transcriber.observability.timeline import Timeline
from transcriber.settings import Settings

DOCUMENT = document()


def test_the_published_document_is_the_one_that_is_made() -> None:
    """After a change: scripts/write_openapi.py."""
    published = (ROOT / "docs" / "openapi.json").read_text("utf-8")

    assert json.loads(published) == json.loads(json.dumps(DOCUMENT))


def test_every_route_with_every_method_is_in_it_and_no_other() -> None:
    rules = create(Settings(), ModelService(Settings(), timeline=Timeline())).url_map.iter_rules()
    served = {
        (rule.rule, method) for rule in rules for method in rule.methods or () if method not in {"HEAD", "OPTIONS"}
    }

    assert served == {(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods}


def test_every_status_of_a_failure_is_in_it() -> None:
    statuses = {str(status) for kind, status in STATUS.items() if kind is not Kind.GONE}

    for path in ("/invocations", "/v1/audio/transcriptions", "/v1/audio/translations"):
        assert set(DOCUMENT["paths"][path]["post"]["responses"]) == {"200", *statuses}


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/')[1:]:
        place: object = DOCUMENT
        for step in part.partition('"')[0].split("/"):
            assert isinstance(place, dict)
            place = place[step]


def test_a_type_that_has_no_schema_is_told() -> None:
    class Odd(TypedDict):
        what: complex

    with pytest.raises(TypeError, match="no schema for"):
        schema_of_answer(Odd)
