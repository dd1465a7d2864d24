#!/usr/bin/env python3
"""Write what the container understands and answers over HTTP into docs/openapi.json (OpenAPI 3.1).

Bodies are the models that read them, answers are the documents that are written, failures are those of errors.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app import STATUS  # noqa: E402 - the path above comes first
from transcriber.errors import Kind, RequestError, ServiceError, StartupError, TranscriberError  # noqa: E402
from transcriber.options import Dialect, ResponseFormat, StreamFormat  # noqa: E402
from transcriber.rendering import documents, hugging_face, jumpstart, openai, parakeet, voxtral  # noqa: E402
from transcriber.rendering.formats import MEDIA_TYPES, STREAM_MEDIA_TYPES  # noqa: E402
from transcriber.wire.headers import CUSTOM_ATTRIBUTES, INFERENCE_ID, LONGEST_ATTRIBUTES, LONGEST_ID  # noqa: E402
from transcriber.wire.schemas import schema_of  # noqa: E402

Schema = dict[str, Any]

ANSWERS = {
    Dialect.OWN: documents.TranscriptDocument,
    Dialect.OPENAI: openai.TranscriptionDocument,
    Dialect.JUMPSTART: jumpstart.JumpStartDocument,
    Dialect.HUGGING_FACE: hugging_face.HuggingFaceDocument,
    Dialect.VOXTRAL: voxtral.VoxtralDocument,
    Dialect.PARAKEET: parakeet.ParakeetDocument,
}

PLAIN: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    types.NoneType: {"type": "null"},
    object: {},
}

NOWHERE = "not_found"
AUDIO: Schema = {"type": "string", "format": "binary", "description": "An audio file."}


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = ROOT / "docs" / "openapi.json"
    parser.add_argument("--into", type=Path, default=default, help="file (default: docs/openapi.json)")
    into: Path = parser.parse_args().into
    into.parent.mkdir(parents=True, exist_ok=True)
    into.write_text(json.dumps(document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def document() -> Schema:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Speech to text behind SageMaker's contract",
            "version": "1",
            "description": "docs/http.md says it in words.",
        },
        "paths": {
            "/invocations": {"post": _invocations()},
            "/v1/audio/transcriptions": {"post": _openai("The text of a recording, in its own language.")},
            "/v1/audio/translations": {"post": _openai("The text of a recording, in English.")},
            "/v1/models": {
                "get": _reading("The one model that is loaded.", _json(schema_of_answer(openai.ModelsDocument)))
            },
            "/execution-parameters": {
                "get": _reading("What batch transform asks before it begins.", _json({"type": "object"}))
                | {"responses": {"200": _answer({"application/json": {"type": "object"}}), "503": _failed("503")}}
            },
            "/ping": {"get": _health(), "post": _health()},
            "/metrics": {"get": _reading("Numbers for Prometheus.", {"text/plain": {"schema": {"type": "string"}}})},
        },
        "components": {
            "schemas": {
                **{f"body_{dialect}": _self_contained(dialect) for dialect in Dialect},
                **{f"answer_{dialect}": schema_of_answer(answer) for dialect, answer in ANSWERS.items()},
                "answer_verbose_json": schema_of_answer(documents.VerboseDocument),
                "failure": schema_of_answer(documents.FailureDocument)
                | {"properties": {"error": {"type": "string"}, "code": {"enum": [*_slugs()]}}},
                "openai_failure": schema_of_answer(openai.FailureDocument),
            }
        },
    }


def schema_of_answer(kind: Any) -> Schema:  # noqa: ANN401, PLR0911 - any type, and a line for each kind of type
    """Return the schema of what a typed dictionary, or one of its values, looks like as JSON.

    Pydantic could do it, but not with `typing.TypedDict` of Python 3.11.
    """
    if kind in PLAIN:
        return PLAIN[kind]
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        needed = [name for name, hint in hints.items() if kind.__total__ and get_origin(hint) is not NotRequired]
        return {
            "type": "object",
            "properties": {name: schema_of_answer(hint) for name, hint in hints.items()},
            "required": needed,
            "additionalProperties": False,
        }
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        return schema_of_answer(arguments[0])
    if origin is Literal:
        return {"enum": [*arguments]}
    if origin is list:
        return {"type": "array", "items": schema_of_answer(arguments[0])}
    if origin in {Union, types.UnionType}:
        return {"anyOf": [schema_of_answer(one) for one in arguments]}
    if origin is not tuple:
        raise TypeError(f"no schema for {kind}")
    items = [schema_of_answer(one) for one in arguments]
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _self_contained(dialect: Dialect) -> Schema:
    """Return the schema of a body with its definitions found from the whole document's root."""
    text = json.dumps(schema_of(dialect)).replace("#/$defs/", f"#/components/schemas/body_{dialect}/$defs/")
    schema: Schema = json.loads(text)
    del schema["$schema"]
    return schema


def _invocations() -> Schema:
    others = [dialect for dialect in Dialect if dialect is not Dialect.OPENAI]
    answers: dict[str, Schema] = {
        "application/json": {
            "anyOf": [_ref(f"answer_{dialect}") for dialect in ANSWERS] + [_ref("answer_verbose_json")]
        }
    }
    for form in ResponseFormat:
        answers.setdefault(MEDIA_TYPES[form], {"type": "string"})
    for stream in (StreamFormat.JSON_LINES, StreamFormat.EVENTS):
        answers.setdefault(STREAM_MEDIA_TYPES[stream], {"type": "string"})
    return {
        "summary": "The transcript of the audio that is sent or named.",
        "parameters": [
            _header(CUSTOM_ATTRIBUTES, "Options, where the body is the audio.", LONGEST_ATTRIBUTES),
            _header(INFERENCE_ID, "Comes back with the answer, and stands in the log.", LONGEST_ID),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [_ref(f"body_{dialect}") for dialect in others]}},
                "application/octet-stream": {"schema": AUDIO},
                "multipart/form-data": {"schema": _form()},
            },
        },
        "responses": {"200": _answer(answers), **_failures("failure")},
    }


def _openai(summary: str) -> Schema:
    answers: dict[str, Schema] = {
        "application/json": {"anyOf": [_ref(f"answer_{Dialect.OPENAI}"), _ref("answer_verbose_json")]}
    }
    for form in ResponseFormat:
        answers.setdefault(MEDIA_TYPES[form], {"type": "string"})
    answers[STREAM_MEDIA_TYPES[StreamFormat.OPENAI]] = {"type": "string"}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _form()}}},
        "responses": {"200": _answer(answers), **_failures("openai_failure")},
    }


def _form() -> Schema:
    form = _self_contained(Dialect.OPENAI)
    return form | {"properties": {"file": AUDIO, **form["properties"]}, "required": ["file"]}


def _health() -> Schema:
    return {
        "summary": "Whether a request could be served now.",
        "responses": {
            "200": {"description": "It could."},
            "503": {"description": "The model is loading, or the device is lost."},
        },
    }


def _reading(summary: str, content: dict[str, Schema]) -> Schema:
    return {"summary": summary, "responses": {"200": {"description": "Here it is.", "content": content}}}


def _failures(shape: str) -> dict[str, Schema]:
    """Return an answer for each status that a failure may have."""
    statuses = sorted({str(STATUS[failure.kind]) for failure in _leaves() if failure.kind is not Kind.GONE})
    return {status: _failed(status, shape) for status in statuses}


def _failed(status: str, shape: str = "failure") -> Schema:
    slugs = [failure.slug for failure in _leaves() if str(STATUS[failure.kind]) == status]
    return {"description": ", ".join(slugs), "content": {"application/json": {"schema": _ref(shape)}}}


def _slugs() -> Iterator[str]:
    yield from (failure.slug for failure in _leaves())
    yield NOWHERE


def _leaves(root: type[TranscriberError] = TranscriberError) -> Iterator[type[TranscriberError]]:
    """Yield the failures that an answer may carry."""
    if root not in {RequestError, ServiceError}:
        yield root
    for child in root.__subclasses__():
        if not issubclass(child, StartupError):
            yield from _leaves(child)


def _answer(schemas: dict[str, Schema]) -> Schema:
    content = {media: {"schema": schema} for media, schema in schemas.items()}
    return {"description": "The transcript.", "content": content}


def _json(schema: Schema) -> dict[str, Schema]:
    return {"application/json": {"schema": schema}}


def _header(name: str, what: str, longest: int) -> Schema:
    return {"name": name, "in": "header", "description": what, "schema": {"type": "string", "maxLength": longest}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


if __name__ == "__main__":
    main()
