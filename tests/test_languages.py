from __future__ import annotations

from faster_whisper.tokenizer import _LANGUAGE_CODES

from transcriber.languages import CODES, NAMES


def test_the_codes_are_the_references() -> None:
    assert set(NAMES) == set(_LANGUAGE_CODES)


def test_no_two_languages_share_a_name() -> None:
    assert len(CODES) == len(NAMES)
