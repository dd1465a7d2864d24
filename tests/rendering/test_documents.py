from __future__ import annotations

import json

from transcriber.rendering import documents
from transcriber.transcript import Transcript


def test_json_leaves_segments_out_when_they_are_not_wanted(speech: Transcript) -> None:
    document = json.loads(documents.json(speech, with_segments=False, with_words=True))

    assert set(document) == {"text", "detected_language", "language_probability", "duration"}


def test_json_has_words_only_when_asked(speech: Transcript) -> None:
    without = json.loads(documents.json(speech, with_segments=True, with_words=False))
    with_words = json.loads(documents.json(speech, with_segments=True, with_words=True))

    assert set(without["segments"][0]) == {"start", "end", "text"}
    assert with_words["segments"][0]["words"][0] == {"start": 0.0, "end": 0.5, "word": "Ünder", "probability": 0.988}


def test_verbose_json_names_the_language_in_english(speech: Transcript) -> None:
    document = json.loads(documents.verbose_json(speech, with_segments=True, with_words=False))

    assert document["language"] == "english"


def test_verbose_json_of_silence_names_no_language(silence: Transcript) -> None:
    document = json.loads(documents.verbose_json(silence, with_segments=True, with_words=True))

    assert document["language"] is None
    assert document["segments"] == document["words"] == []


def test_verbose_json_can_have_words_without_segments(speech: Transcript) -> None:
    """OpenAI: timestamp_granularities of `word` alone."""
    document = json.loads(documents.verbose_json(speech, with_segments=False, with_words=True))

    assert "segments" not in document
    assert document["words"][1] == {"word": "<b>Tom", "start": 0.5, "end": 1.2}


def test_usage_counts_seconds_begun(speech: Transcript) -> None:
    document = json.loads(documents.verbose_json(speech, with_segments=True, with_words=False))

    assert document["usage"] == {"type": "duration", "seconds": 3727}


def test_times_are_those_of_the_subtitles(speech: Transcript) -> None:
    document = json.loads(documents.json(speech, with_segments=True, with_words=False))

    assert [segment["end"] for segment in document["segments"]] == [2.01, 3726.0]


def test_text_is_the_text_and_a_line_end(speech: Transcript, silence: Transcript) -> None:
    assert documents.text(speech) == f"{speech.text}\n"
    assert documents.text(silence) == "\n"


def test_a_failure_is_a_sentence_first_and_a_slug_after() -> None:
    assert documents.failure("'é' is not \ud800", code="malformed_request") == (
        '{"error": "\'é\' is not \\ud800", "code": "malformed_request"}\n'
    )
