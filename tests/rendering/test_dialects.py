"""The answers of other servers, looked at against golden files that were checked by eye."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from transcriber.options import Dialect, ResponseFormat
from transcriber.rendering import openai
from transcriber.rendering.formats import render
from transcriber.transcript import Transcript

GOLDEN = Path(__file__).parent / "golden"
FOREIGN = sorted(set(Dialect) - {Dialect.OWN})


def said(transcript: Transcript, dialect: Dialect, *, with_segments: bool, with_words: bool) -> str:
    rendered = render(
        transcript,
        format=ResponseFormat.JSON,
        with_segments=with_segments,
        with_words=with_words,
        dialect=dialect,
    )
    assert rendered.media_type == "application/json"
    return json.dumps(json.loads(rendered.body), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("recording", ["speech", "silence"])
@pytest.mark.parametrize("dialect", FOREIGN)
def test_every_dialect_looks_like_its_golden_file(
    dialect: Dialect, recording: str, request: pytest.FixtureRequest
) -> None:
    transcript: Transcript = request.getfixturevalue(recording)

    body = said(transcript, dialect, with_segments=True, with_words=dialect is Dialect.PARAKEET)

    assert body == (GOLDEN / f"{recording}.{dialect}").read_text(encoding="utf-8")


def test_chunks_are_words_when_words_are_wanted(speech: Transcript) -> None:
    answer = json.loads(said(speech, Dialect.HUGGING_FACE, with_segments=False, with_words=True))

    assert answer["chunks"][1] == {"text": " <b>Tom", "timestamp": [0.5, 1.2]}
    assert len(answer["chunks"]) == sum(len(segment.words or ()) for segment in speech.segments)


def test_chunks_join_to_the_text(speech: Transcript) -> None:
    answer = json.loads(said(speech, Dialect.HUGGING_FACE, with_segments=True, with_words=False))

    assert "".join(chunk["text"] for chunk in answer["chunks"]) == answer["text"]


@pytest.mark.parametrize("dialect", [Dialect.HUGGING_FACE, Dialect.PARAKEET])
def test_without_timestamps_there_is_the_text_alone(dialect: Dialect, speech: Transcript) -> None:
    assert set(json.loads(said(speech, dialect, with_segments=False, with_words=False))) == {"text"}


@pytest.mark.parametrize("form", set(ResponseFormat) - {ResponseFormat.JSON})
def test_other_forms_look_alike_in_every_dialect(form: ResponseFormat, speech: Transcript) -> None:
    ours, theirs = (
        render(speech, format=form, with_segments=True, with_words=True, dialect=dialect)
        for dialect in (Dialect.OWN, Dialect.OPENAI)
    )

    assert ours == theirs


def test_deltas_join_to_the_text(speech: Transcript) -> None:
    events = [
        *(openai.delta(number, segment) for number, segment in enumerate(speech.segments)),
        openai.HEARTBEAT,
        openai.done(speech),
    ]
    *deltas, done = [json.loads(event.removeprefix(b"data: ")) for event in events if event.startswith(b"data: ")]

    assert all(event.endswith(b"\n\n") and event.count(b"\n") == 2 for event in events)
    assert {delta["type"] for delta in deltas} == {"transcript.text.delta"}
    assert done == {"type": "transcript.text.done", "text": "".join(delta["delta"] for delta in deltas)}


@pytest.mark.parametrize(("status", "kind"), [(400, "invalid_request_error"), (503, "server_error")])
def test_a_failure_says_whose_it_is(status: int, kind: str) -> None:
    assert json.loads(openai.failure("no \ud800", code="slug", status=status)) == {
        "error": {"message": "no \ud800", "type": kind, "param": None, "code": "slug"}
    }


def test_there_is_one_model() -> None:
    assert json.loads(openai.models("demo", created_s=1)) == {
        "object": "list",
        "data": [{"id": "demo", "object": "model", "created": 1, "owned_by": "this container"}],
    }
