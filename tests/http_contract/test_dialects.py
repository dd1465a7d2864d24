"""The dialects of other containers against a real `./serve`: payloads as their callers send them."""

from __future__ import annotations

import base64
import json
from typing import Any

import av
import pytest

from tests.conftest import DATA
from tests.http_contract.conftest import BUCKET, Answer, Server
from tests.http_contract.test_bad_input import multipart

SPEECH = DATA / "en-one-phrase.wav"
AUDIO = SPEECH.read_bytes()
B64 = base64.b64encode(AUDIO).decode()
SAID = "Buy bread and coffee."
TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"


def ask(server: Server, body: object, **headers: str) -> Answer:
    return server.send(json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def answered(server: Server, body: object, **headers: str) -> Any:
    answer = ask(server, body, **headers)

    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    return json.loads(answer.body)


def samples() -> list[int]:
    with av.open(str(SPEECH)) as container:
        return [sample for frame in container.decode(audio=0) for sample in frame.to_ndarray()[0].tolist()]


def test_the_three_payloads_of_the_comparison_are_answered_in_their_own_shapes(server: Server) -> None:
    voxtral = {"transcription": {"audio": {"data": B64}, "language": "en", "temperature": 0.0}}

    assert answered(server, {"audio_input": AUDIO.hex()}) == {"text": [SAID]}
    assert answered(server, voxtral)["transcription"]["text"] == SAID
    assert answered(server, {"audio": {"data": B64}, "timestamps": False}) == {"text": SAID}


def test_a_shape_does_not_depend_on_accept(server: Server) -> None:
    assert answered(server, {"audio_input": AUDIO.hex()}, Accept="text/event-stream") == {"text": [SAID]}


def test_samples_are_heard_as_their_file_is(server: Server) -> None:
    numbers = samples()
    scaled = [number / 32768 for number in numbers]
    for body in (numbers, scaled, {"raw": str(numbers), "sampling_rate": 16_000}):
        assert answered(server, {"audio_input": body}) == {"text": [SAID]}


def test_the_words_of_dialects_are_those_of_our_own(server: Server) -> None:
    ours = answered(server, {"audio_b64": B64, "word_timestamps": True})
    words = [word for segment in ours["segments"] for word in segment["words"]]
    theirs = answered(server, {"inputs": B64, "parameters": {"return_timestamps": "word"}})
    stamps = answered(server, {"audio": B64, "timestamps": True})["timestamps"]

    assert [(chunk["text"].strip(), *chunk["timestamp"]) for chunk in theirs["chunks"]] == [
        (word["word"], word["start"], word["end"]) for word in words
    ]
    assert [(stamp["word"], stamp["start"], stamp["end"]) for stamp in stamps["word"]] == [
        (word["word"], word["start"], word["end"]) for word in words
    ]
    assert [(stamp["segment"], stamp["start"], stamp["end"]) for stamp in stamps["segment"]] == [
        (segment["text"], segment["start"], segment["end"]) for segment in ours["segments"]
    ]


def test_an_address_of_s3_is_read(server: Server, s3: Any) -> None:
    s3.upload_file(str(SPEECH), BUCKET, "a.wav")

    assert answered(server, {"inputs": f"s3://{BUCKET}/a.wav"}) == {"text": f" {SAID}"}


def test_a_task_and_a_language_reach_the_model(server: Server) -> None:
    spanish = (DATA / "es-two-phrases.flac").read_bytes()
    own = answered(server, {"audio_b64": base64.b64encode(spanish).decode(), "task": "translate", "language": "es"})

    assert answered(server, {"audio_input": spanish.hex(), "task": "translate", "language": "spanish"}) == {
        "text": [own["text"]]
    }


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        ({"audio_input": AUDIO.hex()[:-1]}, 400, "malformed_request", "two digits each"),
        ({"audio_input": B64}, 400, "malformed_request", "not hexadecimal"),
        ({"audio_input": ["a", "b"]}, 400, "malformed_request", "in place 0"),
        ({"audio_input": b"no audio at all".hex() * 40}, 415, "not_audio", "sound"),
        ({"audio_input": AUDIO.hex(), "language": "klingon"}, 400, "malformed_request", "'language'"),
        ({"audio_input": AUDIO.hex(), "num_return_sequences": 2}, 400, "unsupported_option", "one transcript"),
        ({"audio_input": AUDIO.hex(), "inputs": B64}, 400, "malformed_request", "different dialects"),
        ({"audio_b64": B64, "audio": {"data": B64}}, 400, "malformed_request", "different dialects"),
        ({"inputs": B64, "parameters": {"generate_kwargs": {"x": 1}}}, 400, "malformed_request", "generate_kwargs.x"),
        ({"inputs": "https://example.com/a.wav?secret"}, 403, "source_forbidden", "ALLOWED_URL_HOSTS"),
        ({"audio": {"path": "http://169.254.169.254/"}}, 403, "source_forbidden", "ALLOWED_URL_HOSTS"),
        ({"audio": {"path": "/etc/passwd"}}, 400, "malformed_request", "'audio.path'"),
        ({"audio": {"data": B64}, "timestamps": "yes"}, 400, "malformed_request", "'timestamps'"),
        ({"transcription": {"audio": {"path": "file:///etc/passwd"}}}, 400, "malformed_request", "'file'"),
        ({"transcription": {"audio": {"data": B64}, "max_tokens": 5}}, 400, "malformed_request", "max_tokens"),
        ({"messages": [{"role": "user"}]}, 400, "malformed_request", "'messages'"),
    ],
)
def test_bad_input_gets_one_sentence_and_the_right_status(
    server: Server, body: object, status: int, code: str, says: str
) -> None:
    answer = ask(server, body)

    document = json.loads(answer.body)
    assert (answer.status, document["code"]) == (status, code), document
    assert says in document["error"]
    assert "secret" not in document["error"]
    assert len(document["error"]) < 600


def test_a_form_with_a_model_is_answered_as_openai_does(server: Server) -> None:
    body, headers = multipart(("file", "a.wav", AUDIO), ("model", None, b"whisper-1"))

    expected = {"text": SAID, "usage": {"type": "duration", "seconds": 2}}
    assert json.loads(server.send(body, {**headers, "Accept": "text/vtt"}).body) == expected
    assert json.loads(server.send(body, headers, path=TRANSCRIPTIONS).body) == expected


@pytest.mark.parametrize(
    ("send", "status", "code", "says"),
    [
        ({"body": AUDIO}, 400, "malformed_request", "multipart/form-data"),
        ({"body": b"{}", "headers": {"Content-Type": "application/json"}}, 400, "malformed_request", "'file'"),
        ({"method": "GET"}, 405, "not_found", "method"),
        ({"method": "GET", "path": "/v1/engines"}, 404, "not_found", "nothing"),
    ],
)
def test_failures_on_openai_s_paths_are_openai_s(
    server: Server, send: dict[str, Any], status: int, code: str, says: str
) -> None:
    answer = server.send(**{"path": TRANSCRIPTIONS, **send})

    error = json.loads(answer.body)["error"]
    assert answer.status == status
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", None, code)
    assert says in error["message"]


def test_a_failure_in_a_form_for_invocations_is_ours(server: Server) -> None:
    body, headers = multipart(("file", "a.wav", AUDIO), ("model", None, b"x"), ("language", None, b"klingon"))

    assert json.loads(server.send(body, headers).body)["code"] == "malformed_request"
    assert json.loads(server.send(body, headers, path=TRANSLATIONS).body)["error"]["code"] == "malformed_request"
