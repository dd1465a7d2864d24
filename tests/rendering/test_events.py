from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.options import ResponseFormat, StreamFormat
from transcriber.rendering import events
from transcriber.rendering.formats import STREAM_MEDIA_TYPES, render
from transcriber.transcript import Segment, Transcript

LINES, EVENTS, OPENAI = StreamFormat


def record(sent: bytes, form: StreamFormat) -> dict[str, object]:
    """Read what a reader of the stream sees."""
    text = sent.decode()
    if form is LINES:
        (line, rest) = text.split("\n")
        assert not rest
    else:
        name, line, *rest_lines = text.split("\n")
        assert rest_lines == ["", ""]
        assert name == f"event: {json.loads(line.removeprefix('data: '))['type']}"
        line = line.removeprefix("data: ")
    found: dict[str, object] = json.loads(line)
    return found


@pytest.mark.parametrize("form", [LINES, EVENTS])
@pytest.mark.parametrize("with_words", [True, False])
def test_the_segments_are_those_of_the_answer_in_one_piece(
    form: StreamFormat, with_words: bool, speech: Transcript
) -> None:
    body = render(speech, format=ResponseFormat.JSON, with_segments=True, with_words=with_words).body
    whole = json.loads(body)["segments"]

    sent = [
        record(events.segment(number, segment, with_words=with_words, form=form), form)
        for number, segment in enumerate(speech.segments)
    ]

    assert sent == [{"type": "segment", "id": number, **segment} for number, segment in enumerate(whole)]


@pytest.mark.parametrize("form", [LINES, EVENTS])
@pytest.mark.parametrize("recording", ["speech", "silence"])
def test_the_last_record_says_what_the_answer_in_one_piece_says(
    form: StreamFormat, recording: str, request: pytest.FixtureRequest
) -> None:
    transcript: Transcript = request.getfixturevalue(recording)
    whole = json.loads(render(transcript, format=ResponseFormat.JSON, with_segments=False, with_words=False).body)

    assert record(events.done(transcript, form), form) == {
        "type": "done",
        "n_segments": len(transcript.segments),
        **whole,
    }


@pytest.mark.parametrize("form", [LINES, EVENTS])
def test_a_failure_and_a_heartbeat_are_records_too(form: StreamFormat) -> None:
    sentence = 'the "device"\nfailed'

    assert record(events.error(sentence, code="device_fault", form=form), form) == {
        "type": "error",
        "error": sentence,
        "code": "device_fault",
    }
    assert record(events.heartbeat(form), form) == {"type": "heartbeat"}


@given(st.text(), st.sampled_from([LINES, EVENTS]))
def test_no_text_breaks_a_record(text: str, form: StreamFormat) -> None:
    sent = events.segment(0, Segment(start_s=0, end_s=1, text=text), with_words=False, form=form)

    assert record(sent, form)["text"] == text.strip()


def test_every_stream_has_a_media_type() -> None:
    assert set(STREAM_MEDIA_TYPES) == set(StreamFormat)
