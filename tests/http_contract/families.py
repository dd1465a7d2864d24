"""What callers of every family of models see alike."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.conftest import DATA
from tests.http_contract.conftest import Answer, Server

SPEECH = (DATA / "en-two-phrases.mp3").read_bytes()
LONG = (DATA / "two-minutes.flac").read_bytes()


def send(server: Server, audio: bytes, **options: Any) -> Answer:
    body = json.dumps({"audio_b64": base64.b64encode(audio).decode(), **options})
    return server.send(body, {"Content-Type": "application/json"})


def ask(server: Server, audio: bytes = SPEECH, **options: Any) -> Any:
    answer = send(server, audio, **options)
    assert answer.status == 200, answer.body
    return json.loads(answer.body) if answer.headers["Content-Type"] == "application/json" else answer.body.decode()


def assert_refused(server: Server, options: dict[str, Any], sentence: str) -> None:
    answer = send(server, SPEECH, **options)
    refusal = json.loads(answer.body)

    assert (answer.status, refusal["code"]) == (400, "unsupported_option")
    assert refusal["error"].startswith(sentence)


def assert_subtitles_hold_the_same_text(server: Server, form: str) -> None:
    cues = ask(server, response_format=form).strip().split("\n\n")
    lines = [line for cue in cues if "-->" in cue for line in cue.split("-->")[1].split("\n")[1:]]

    assert lines
    assert "".join("".join(lines).split()) == "".join(ask(server)["text"].split())


def assert_a_stream_brings_the_same_segments(server: Server) -> None:
    streamed = server.send(LONG, {"Accept": "application/jsonlines"})
    records = [json.loads(line) for line in streamed.body.decode().splitlines()]
    whole = ask(server, LONG)

    assert [record["text"] for record in records if record["type"] == "segment"] == [
        segment["text"] for segment in whole["segments"]
    ]
    assert records[-1]["text"] == whole["text"]
