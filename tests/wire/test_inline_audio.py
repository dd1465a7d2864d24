from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.errors import MalformedRequest, NotAudio
from transcriber.wire import inline_audio


@given(st.binary(min_size=1))
def test_what_was_encoded_comes_back(data: bytes) -> None:
    text = base64.b64encode(data).decode()

    assert inline_audio.decode(text).data == data
    assert inline_audio.decode(f"data:audio/wav;base64,{text}").data == data


@given(st.binary(min_size=1))
def test_line_breaks_are_skipped(data: bytes) -> None:
    assert inline_audio.decode(base64.encodebytes(data).decode().replace("\n", "\r\n\t ")).data == data


@pytest.mark.parametrize(
    "head",
    [
        "data:;base64,",
        "data:audio/webm;codecs=opus;base64,",
        "data:application/octet-stream;base64,",
        "DATA:audio/L16;BASE64,",
    ],
)
def test_the_head_of_a_data_url_is_skipped(head: str) -> None:
    assert inline_audio.decode(f"{head}UklGRg==").data == b"RIFF"


@pytest.mark.parametrize("text", ["", " \n", "data:audio/wav;base64,"])
def test_no_bytes_are_no_audio(text: str) -> None:
    with pytest.raises(NotAudio, match="'audio_b64' is empty"):
        inline_audio.decode(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("UklGRg", "cut short"),
        ("UklGRg=", "cut short"),
        ("UklGRg===", "badly padded"),
        ("UklG=Rg=", "badly padded"),
        ("====", "badly padded"),
        ("U", "cut short"),
        ("a-_a", "URL-safe"),
        ("UklG!Rg=", "characters other than"),
        ("UklGü===", "characters other than"),
        ("\ud800AAA", "characters other than"),
        ("UklG\x0bRg==", "characters other than"),
        ("data:audio/wav,UklGRg==", "data URL"),
        ("data:UklGRg==", "data URL"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, fault: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        inline_audio.decode(text)

    assert refusal.value.message.startswith("'audio_b64' ")
    assert fault in refusal.value.message


@given(st.text())
def test_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(MalformedRequest, NotAudio):
        assert inline_audio.decode(text).data
