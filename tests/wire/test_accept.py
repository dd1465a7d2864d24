from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.errors import UnacceptableFormat
from transcriber.options import ResponseFormat, StreamFormat
from transcriber.wire.accept import MEDIA_TYPES, negotiate, stream_of

JSON, VERBOSE, TEXT, SRT, VTT = ResponseFormat
LINES, EVENTS, _ = StreamFormat


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        (" , ", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json;profile=verbose", VERBOSE),
        ('application/json; profile="verbose"; q=0.5', VERBOSE),
        ("text/*", TEXT),
        ("text/plain", TEXT),
        ("text/srt", SRT),
        ("application/x-subrip", SRT),
        ("text/vtt", VTT),
        ("text/vtt, */*", VTT),
        ("*/*, text/vtt", VTT),
        ("text/vtt, text/srt", VTT),
        ("text/vtt;q=0.5, text/srt;q=0.9", SRT),
        ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", JSON),
        ("application/json;q=0, */*", TEXT),
        ("text/vtt;q=abc, text/srt;q=0.1", SRT),
        ("text/event-stream, application/json;q=0.1", EVENTS),
        ("text/event-stream;q=0.1, application/json", JSON),
        ("application/jsonlines", LINES),
        ("image/png, application/x-ndjson", LINES),
        ("image/png, text/vtt;level=1", VTT),
    ],
)
def test_the_callers_favourite_is_chosen(accept: str | None, expected: ResponseFormat | StreamFormat) -> None:
    assert negotiate(accept) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, LINES),
        ("application/json", LINES),
        ("text/plain, text/event-stream;q=0.2", EVENTS),
        ("text/event-stream;q=0", LINES),
    ],
)
def test_a_stream_asked_for_in_the_body_comes_as_events_to_who_accepts_them(
    accept: str | None, expected: StreamFormat
) -> None:
    assert stream_of(accept) is expected


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json;q=0", "text/vtt;q=2", "json", "text/event-stream;q=0"]
)
def test_a_refusal_names_what_could_be_given(accept: str) -> None:
    with pytest.raises(UnacceptableFormat) as refusal:
        negotiate(accept)

    assert set(MEDIA_TYPES) - {"text/srt", "application/x-ndjson"} == {
        media for media in MEDIA_TYPES if media in refusal.value.message
    }


@given(
    st.text(max_size=100) | st.lists(st.sampled_from([*MEDIA_TYPES, "*/*", ";q=", "0.5", ",", ";", "="])).map("".join)
)
def test_no_header_breaks_it(accept: str) -> None:
    with contextlib.suppress(UnacceptableFormat):
        assert isinstance(negotiate(accept), ResponseFormat | StreamFormat)
