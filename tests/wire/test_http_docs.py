"""docs/http.md knows everything that a caller can meet, and its examples are true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from transcriber import languages
from transcriber.errors import RequestError, ServiceError, StartupError, TranscriberError
from transcriber.options import Dialect, ResponseFormat
from transcriber.rendering import openai
from transcriber.rendering.documents import (
    FailureDocument,
    SegmentDocument,
    TranscriptDocument,
    VerboseDocument,
    VerboseSegment,
    VerboseWord,
    WordDocument,
)
from transcriber.rendering.events import DoneRecord, ErrorRecord, SegmentRecord
from transcriber.rendering.formats import MEDIA_TYPES, STREAM_MEDIA_TYPES, render
from transcriber.settings import Settings
from transcriber.transcript import Segment, Transcript, Word
from transcriber.wire import accept, form, json_body
from transcriber.wire.fields import OptionFields
from transcriber.wire.generation import WhisperGenerationFields
from transcriber.wire.hugging_face import HuggingFaceFields, ParameterFields
from transcriber.wire.job import Defaults
from transcriber.wire.jumpstart import JumpStartFields
from transcriber.wire.parakeet import ParakeetFields
from transcriber.wire.samples import SampleFields
from transcriber.wire.voxtral import TranscriptionFields

TEXT = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
FIRST_CELLS = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[0])}
DIALECTS = TEXT.partition("## Dialects\n")[2].partition("\n## ")[0]


def examples(text: str) -> list[Any]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


EXAMPLES = examples(TEXT.replace(DIALECTS, ""))


def failures(root: type[TranscriberError] = TranscriberError) -> Iterator[type[TranscriberError]]:
    yield root
    for child in root.__subclasses__():
        yield from failures(child)


def test_every_field_has_a_row() -> None:
    assert set(json_body.JsonFields.model_fields) <= FIRST_CELLS
    assert {field.alias or name for name, field in form.FormFields.model_fields.items()} <= FIRST_CELLS


def test_every_default_is_true() -> None:
    defaults = {row[0].strip("`"): row[2].strip("`") for row in ROWS if len(row) == 4}
    said = {
        name: str(field.default)
        for name, field in OptionFields.model_fields.items()
        if field.default is not None and not isinstance(field.default, bool)
    }

    assert {name: defaults[name] for name in said} == said


@pytest.mark.parametrize("failure", list(failures()), ids=lambda failure: failure.slug)
def test_every_failure_has_a_row_with_its_kind(failure: type[TranscriberError]) -> None:
    (row,) = [row for row in ROWS if row[0] == f"`{failure.slug}`"]

    assert row[1] == failure.kind
    no_answer = failure in {RequestError, ServiceError} or issubclass(failure, StartupError)
    assert len(row) == (3 if no_answer else 4)


def test_every_form_has_a_heading_and_a_media_type() -> None:
    headings = set(re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^### .*$", TEXT, re.MULTILINE))))

    assert {str(form) for form in ResponseFormat} == headings
    assert {(f"`{form}`", f"`{media}`") for form, media in MEDIA_TYPES.items()} <= {
        (row[1], row[2]) for row in ROWS if len(row) == 3
    }
    assert {f"`{media}`" for media in STREAM_MEDIA_TYPES.values()} <= {row[2] for row in ROWS if len(row) == 3}


def test_every_media_type_of_accept_is_named() -> None:
    assert {*accept.MEDIA_TYPES} <= FIRST_CELLS


def test_every_language_is_listed() -> None:
    listed = dict(re.findall(r"`([a-z]+)` ([a-z]+(?: [a-z]+)?)", TEXT.partition("## Languages")[2].replace("\n", " ")))

    assert listed == dict(languages.NAMES)


def test_limits_are_settings() -> None:
    limits = re.findall(r"`([A-Z_]+)`", TEXT.partition("## Limits")[2])

    assert limits
    assert {name.lower() for name in limits} <= set(Settings.model_fields)


def test_examples_are_what_is_sent_and_answered() -> None:
    request, answer, verbose, failure = EXAMPLES

    assert json_body.parse(
        json.dumps(request).encode(), defaults=Defaults(vad_filter=True, return_segments=True), accept=None
    )
    assert set(answer) == set(TranscriptDocument.__annotations__)
    assert set(answer["segments"][0]) == set(SegmentDocument.__annotations__)
    assert set(answer["segments"][0]["words"][0]) == set(WordDocument.__annotations__)
    assert set(verbose) == set(VerboseDocument.__annotations__)
    assert set(verbose["segments"][0]) == set(VerboseSegment.__annotations__)
    assert set(verbose["words"][0]) == set(VerboseWord.__annotations__)
    assert set(failure) == set(FailureDocument.__annotations__)


SECTIONS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", DIALECTS, re.MULTILINE | re.DOTALL))
MODELS: dict[str, list[type[BaseModel]]] = {
    "JumpStart": [JumpStartFields, SampleFields],
    "Hugging Face": [WhisperGenerationFields, HuggingFaceFields, ParameterFields],
    "Voxtral": [TranscriptionFields],
    "Parakeet": [ParakeetFields],
}


def test_every_dialect_has_a_section() -> None:
    names = {name.lower().replace(" ", "_") for name in SECTIONS}

    assert names == set(Dialect) - {Dialect.OWN}
    assert set(MODELS) == set(SECTIONS) - {"OpenAI"}


@pytest.mark.parametrize("name", MODELS)
def test_every_field_of_a_dialect_is_in_its_section(name: str) -> None:
    rows = [line.split("|") for line in DIALECTS.splitlines() if line.startswith("| `")]
    known = {field.rpartition(".")[2] for row in rows for field in re.findall(r"`([^`]+)`", f"{row[1]} {row[2]}")}
    fields = {field for model in MODELS[name] for field in model.model_fields}

    assert fields - {"parameters"} <= known


@pytest.mark.parametrize("name", MODELS)
def test_the_examples_of_a_dialect_are_what_is_sent_and_answered(name: str) -> None:
    request, answer = examples(SECTIONS[name])
    body = json.dumps(request).replace("<hex>", "5249").replace("<base64>", "UklGRg==")

    job = json_body.parse(body.encode(), defaults=Defaults(vad_filter=True, return_segments=True), accept=None)
    word = Word(start_s=0.0, end_s=1.52, text=" Buy", probability=1.0)
    segment = Segment(start_s=0.0, end_s=1.52, text=" Buy bread and coffee.", words=(word,))
    spoken = Transcript(
        segments=(segment,), language="en", language_probability=1.0, duration_s=1.919, speech_s=1.5, task="transcribe"
    )
    rendered = render(
        spoken,
        format=job.answer.format,
        with_segments=job.answer.with_segments,
        with_words=job.answer.with_words,
        dialect=job.answer.dialect,
    )

    assert shape(json.loads(rendered.body)) == shape(answer)


def shape(value: Any) -> Any:
    """The names and types of a document; of a list, those of its first item."""
    match value:
        case dict():
            return {name: shape(item) for name, item in value.items()}
        case list():
            return [shape(item) for item in value[:1]]
        case _:
            return type(value)


def test_openai_s_examples_are_what_is_answered() -> None:
    answer, failure, models = examples(SECTIONS["OpenAI"])
    silence = Transcript(
        segments=(), language=None, language_probability=0.0, duration_s=1.919, speech_s=0.0, task="transcribe"
    )

    assert shape(json.loads(openai.json(silence))) == shape(answer)
    assert json.loads(openai.failure(failure["error"]["message"], code="malformed_request", status=400)) == failure
    assert json.loads(openai.models("demo", created_s=models["data"][0]["created"])) == models
    delta, done = [json.loads(line) for line in re.findall(r"^data: (.*)$", SECTIONS["OpenAI"], re.MULTILINE)]
    assert set(delta) == set(openai.DeltaEvent.__annotations__)
    assert set(done) == set(openai.DoneEvent.__annotations__)


def test_the_records_of_a_stream_are_shown() -> None:
    lines = [json.loads(line) for line in re.findall(r"^({\"type\".*})$", TEXT, re.MULTILINE)]

    assert [line["type"] for line in lines] == ["segment", "segment", "done"]
    assert all(set(line) == set(SegmentRecord.__annotations__) - {"words"} for line in lines[:2])
    assert set(lines[2]) == set(DoneRecord.__annotations__)
    assert all(f'"{name}": ' in TEXT.partition("## A stream")[2] for name in ErrorRecord.__annotations__)
