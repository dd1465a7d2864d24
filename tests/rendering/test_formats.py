from __future__ import annotations

import json
from pathlib import Path

import pytest

from transcriber.options import ResponseFormat
from transcriber.rendering.formats import MEDIA_TYPES, render
from transcriber.transcript import Transcript

GOLDEN = Path(__file__).parent / "golden"
"""Checked by eye; JSON is indented there for that purpose."""


@pytest.mark.parametrize("recording", ["speech", "silence"])
@pytest.mark.parametrize("form", ResponseFormat)
def test_every_format_looks_like_its_golden_file(
    form: ResponseFormat, recording: str, request: pytest.FixtureRequest
) -> None:
    transcript: Transcript = request.getfixturevalue(recording)

    body = render(transcript, format=form, with_segments=True, with_words=True).body.decode()

    if "json" in form:
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False) + "\n"
    assert body == (GOLDEN / f"{recording}.{form}").read_text(encoding="utf-8")


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(ResponseFormat)


@pytest.mark.parametrize("form", ResponseFormat)
def test_text_says_that_it_is_utf_8(form: ResponseFormat, silence: Transcript) -> None:
    media_type = render(silence, format=form, with_segments=True, with_words=False).media_type

    assert media_type == "application/json" or media_type.endswith("; charset=utf-8")
