"""Everything a caller can send, and every form it can be answered in."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jiwer
import pytest

from tests.conftest import DATA, Recording, recordings
from tests.http_contract.conftest import BUCKET, Server

SPOKEN = [recording for recording in recordings() if recording.text]
SHORT = [recording for recording in SPOKEN if recording.duration < 60]
JSON = {"Content-Type": "application/json"}


def plain(text: str) -> str:
    return re.sub(r"[^\w ]", "", text.lower())


def errors(recording: Recording, heard: str) -> float:
    """Share of wrong words, or of wrong characters in Chinese."""
    rate = jiwer.cer if recording.language == "zh" else jiwer.wer
    return float(rate(plain(recording.text), plain(heard)))


@pytest.mark.parametrize("recording", SPOKEN, ids=lambda recording: recording.path.name)
def test_what_is_said_is_heard(server: Server, recording: Recording) -> None:
    """By meaning, not by the letter: at most one word in four is wrong in any of the sample recordings."""
    document = json.loads(server.send(recording.path.read_bytes()).body)

    assert errors(recording, document["text"]) <= 0.25
    assert document["duration"] == pytest.approx(recording.duration, abs=0.1)
    if recording.language:
        assert document["detected_language"] == recording.language


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", None])
def test_a_json_body_needs_no_json_content_type(server: Server, content_type: str | None) -> None:
    body = json.dumps({"audio_b64": base64.b64encode(SHORT[0].path.read_bytes()).decode()}).encode()
    answer = server.send(body, {"Content-Type": content_type} if content_type else {})

    assert answer.status == 200


def test_a_body_in_chunks_is_taken(server: Server) -> None:
    whole = SHORT[0].path.read_bytes()

    def blocks() -> Iterator[bytes]:
        for start in range(0, len(whole), 1000):
            yield whole[start : start + 1000]

    assert server.send(blocks()).body == server.send(whole).body


def test_an_object_in_s3_is_read(server: Server, s3: Any) -> None:
    s3.upload_file(str(SHORT[0].path), BUCKET, "deep/down/ä b.wav")
    by_s3 = server.send(json.dumps({"s3_uri": f"s3://{BUCKET}/deep/down/ä b.wav"}).encode(), JSON)

    assert by_s3.status == 200
    assert by_s3.body == server.send(SHORT[0].path.read_bytes()).body


@pytest.mark.parametrize("part", ["file", "content"])
def test_a_form_is_read(server: Server, part: str) -> None:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="{part}"; filename="x.wav"\r\n\r\n'.encode()
        + SHORT[0].path.read_bytes()
        + b'\r\n--b\r\nContent-Disposition: form-data; name="response_format"\r\n\r\nverbose_json\r\n--b--\r\n'
    )
    answer = server.send(body, {"Content-Type": "multipart/form-data; boundary=b"})

    assert answer.status == 200
    assert json.loads(answer.body)["segments"][0]["text"]


@pytest.mark.parametrize(
    ("accept", "media_type", "begins"),
    [
        ("application/json", "application/json", b'{"text"'),
        ("text/plain", "text/plain", b""),
        ("application/x-subrip", "application/x-subrip", b"1\n00:00:0"),
        ("text/vtt", "text/vtt", b"WEBVTT\n"),
        ("*/*", "application/json", b'{"text"'),
    ],
)
def test_the_form_of_the_answer_follows_accept(server: Server, accept: str, media_type: str, begins: bytes) -> None:
    answer = server.send(SHORT[0].path.read_bytes(), {"Accept": accept})

    assert answer.headers["Content-Type"].startswith(media_type)
    assert answer.body.startswith(begins)
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_options_of_a_raw_body_travel_in_custom_attributes(server: Server) -> None:
    foreign = next(recording for recording in SHORT if recording.language == "es")
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "task=translate;language=es;return_segments=false"}
    document = json.loads(server.send(foreign.path.read_bytes(), attributes).body)

    assert "segments" not in document
    assert foreign.translation is not None
    assert jiwer.wer(plain(foreign.translation), plain(document["text"])) <= 0.5


def test_silence_has_no_text_and_no_language(server: Server) -> None:
    document = json.loads(server.send((DATA / "silence.wav").read_bytes()).body)

    assert (document["text"], document["detected_language"], document["segments"]) == ("", None, [])


@pytest.mark.parametrize("options", [{}, {"vad_filter": False}, {"condition_on_previous_text": True}])
def test_the_long_recording_is_cut_into_sentences_in_order(server: Server, options: dict[str, Any]) -> None:
    long = next(recording for recording in SPOKEN if recording.duration > 60)
    body = json.dumps({"audio_b64": base64.b64encode(long.path.read_bytes()).decode(), **options}).encode()
    document = json.loads(server.send(body, JSON).body)
    segments = document["segments"]

    assert errors(long, document["text"]) <= 0.15
    assert len(segments) > 15
    assert max(segment["end"] - segment["start"] for segment in segments) < 12
    assert all(before["end"] <= after["start"] + 0.02 for before, after in pairwise(segments))


def test_words_lie_inside_their_segments_and_join_to_the_text(server: Server) -> None:
    body = json.dumps(
        {"audio_b64": base64.b64encode(SHORT[0].path.read_bytes()).decode(), "word_timestamps": True}
    ).encode()
    document = json.loads(server.send(body, JSON).body)
    for segment in document["segments"]:
        assert " ".join(word["word"] for word in segment["words"]) == segment["text"]
        for word in segment["words"]:
            assert segment["start"] - 0.01 <= word["start"] <= word["end"] <= segment["end"] + 0.01
