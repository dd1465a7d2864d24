from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.audio.sound_files import film, noise, sound_file
from transcriber.audio.signatures import HEAD_BYTES, likeness_of


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "looks like a PNG picture"),
        (b"%PDF-1.7", "looks like a PDF document"),
        (b"PK\x03\x04\x14", "looks like a ZIP archive"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "looks like a WebP picture"),
        (b' {"audio_b64": ""}', "looks like JSON"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "looks like HTML or XML"),
        (b"#EXTM3U\nhttp://a/b", "looks like a playlist, which only names other files"),
        ("où est le son ?".encode(), "looks like text"),
        (b"\0\1\2\3", "is of no kind known here"),
        (noise(HEAD_BYTES), "is of no kind known here"),
    ],
)
def test_files_without_sound_are_named(head: bytes, sentence: str) -> None:
    likeness = likeness_of(head)

    assert str(likeness) == sentence
    assert not likeness.holds_sound


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("wav 16-bit mono 16 kHz", "a WAV file"),
        ("mp3 stereo 44.1 kHz", "an MP3 file"),
        ("flac mono 16 kHz", "a FLAC file"),
        ("ogg opus", "an Ogg file"),
        ("m4a aac", "an MP4, M4A or MOV file"),
        ("webm opus", "a WebM or Matroska file"),
        ("amr narrow-band", "an AMR file"),
        ("aac adts", "an AAC file"),
    ],
)
def test_files_with_sound_are_named(kind: str, name: str) -> None:
    likeness = likeness_of(sound_file(kind, seconds=0.2)[:HEAD_BYTES])

    assert likeness.name == name
    assert likeness.holds_sound


def test_films_are_named_whether_they_have_sound_or_not() -> None:
    assert likeness_of(film(sound=False)[:HEAD_BYTES]) == likeness_of(film(sound=True)[:HEAD_BYTES])


def test_base64_is_sent_where_it_belongs() -> None:
    likeness = likeness_of(base64.b64encode(noise(1000))[:HEAD_BYTES])

    assert "audio_b64" in str(likeness)


@pytest.mark.parametrize("shift", range(4))
def test_text_is_text_wherever_its_last_letter_is_cut(shift: int) -> None:
    text = "x" * shift + "𝄞" * HEAD_BYTES

    assert likeness_of(text.encode()[:HEAD_BYTES]).name == "text"


@given(head=st.binary(max_size=HEAD_BYTES))
def test_any_bytes_have_a_likeness(head: bytes) -> None:
    assert str(likeness_of(head)).startswith(("looks like ", "is of no kind"))
