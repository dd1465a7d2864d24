from __future__ import annotations

import pytest

from fleet.client.answers import Facts, facts_of, failure_of


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (
            '{"text": "Ja.", "detected_language": "de", "duration": 2}',
            Facts(text="Ja.", duration_s=2.0, language="de"),
        ),
        (
            '{"text": "Ja.", "language": "german", "duration": 2.5}',
            Facts(text="Ja.", duration_s=2.5, language="german"),
        ),
        ('{"text": "", "detected_language": null, "duration": 5.0}', Facts(text="", duration_s=5.0)),
        ("1\n00:00:00,000 --> 00:00:01,000\nJa.\n", Facts(text="1\n00:00:00,000 --> 00:00:01,000\nJa.")),
        ("[1, 2]", Facts(text="[1, 2]")),
    ],
)
def test_facts_are_read_from_every_form(body: str, facts: Facts) -> None:
    assert facts_of(body.encode()) == facts


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"error": "no audio", "code": "not_audio"}', "no audio"),
        (b"ClientError: The request expired.\n", "ClientError: The request expired"),
        (b"", ""),
        (b"\xff\x00", "\ufffd\x00"),
    ],
)
def test_a_failure_is_the_containers_sentence_or_anybodys(body: bytes, sentence: str) -> None:
    assert failure_of(body) == sentence
