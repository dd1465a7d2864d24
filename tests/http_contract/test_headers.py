"""Headers: which of the platform's are heeded, and what every answer has."""

from __future__ import annotations

import http.client
import json
import string
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from app import create
from fleet.platform import ORIGINAL_MESSAGE_LENGTH, RESPONSE_HEADERS_BYTES
from inference import ModelService
from tests.conftest import DATA, recordings
from tests.http_contract.conftest import BUCKET, Answer, Server, line_of
from transcriber import errors
from transcriber.settings import Settings

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
SPOKEN = next(recording for recording in recordings() if recording.path.name == "en-one-phrase.wav")
CLIP = SPOKEN.path.read_bytes()

ACCEPTS = [
    *("", "*/*", "application/json", "application/json;profile=verbose", "text/plain"),
    *("application/x-subrip", "text/vtt", "application/jsonlines", "text/event-stream", "image/png"),
]

REQUESTS: dict[str, dict[str, Any]] = {
    "sound": {"body": CLIP},
    "silence": {"body": DATA.joinpath("silence.wav").read_bytes()},
    "nothing": {"body": b""},
    "no sound": {"body": b"this is no sound" * 100},
    "no JSON": {"body": b"{s3_uri}"},
    "an unknown option": {"body": CLIP, "headers": {ATTRIBUTES: "beam_sise=5"}},
    "a missing object": {"body": json.dumps({"s3_uri": f"s3://{BUCKET}/missing.wav"}).encode()},
    "too much": {"body": bytes(9 * 1024 * 1024)},
    "too much, in chunks": {"body": lambda: iter([bytes(1024 * 1024)] * 9)},
    "a form without a file": {"body": b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
    "an unknown path": {"path": "/transcriptions", "body": CLIP},
    "a wrong method": {"method": "PUT", "body": CLIP},
    "ping": {"method": "GET", "path": "/ping"},
    "execution parameters": {"method": "GET", "path": "/execution-parameters"},
}


STREAMS = {"application/jsonlines", "text/event-stream"}
HEARD = {"sound", "silence"}


def header_bytes(answer: Answer) -> int:
    return sum(len(f"{name}: {value}\r\n") for name, value in answer.headers.items())


@pytest.mark.parametrize("accept", ACCEPTS)
@pytest.mark.parametrize("name", REQUESTS)
def test_every_answer_in_one_piece_has_its_length_and_short_headers(server: Server, name: str, accept: str) -> None:
    """Asynchronous endpoints refuse an answer without Content-Length, and one with long headers."""
    given = {"body": b"", "headers": {}, **REQUESTS[name]}
    body = given.pop("body")
    headers = {ATTRIBUTES: "Root=" + "x" * 1019, **given.pop("headers"), **({"Accept": accept} if accept else {})}
    answer = server.send(body() if callable(body) else body, headers, **given)

    assert ("Transfer-Encoding" in answer.headers) == (name in HEARD and accept in STREAMS)
    if "Transfer-Encoding" not in answer.headers:
        assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert header_bytes(answer) < RESPONSE_HEADERS_BYTES
    assert answer.headers[ATTRIBUTES] == headers[ATTRIBUTES]


class Failing:
    """A service that refuses every request in one way."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    @contextmanager
    def admit(self) -> Iterator[None]:
        raise self.failure
        yield


def leaves(cls: type[errors.TranscriberError] = errors.TranscriberError) -> Iterator[type[errors.TranscriberError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from leaves(child)


@pytest.mark.parametrize("failure", [*leaves(), KeyError], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("accept", ["application/json", "application/jsonlines", "text/vtt"])
def test_every_failure_is_a_sentence_that_a_model_error_carries_whole(failure: type[Exception], accept: str) -> None:
    sentence = "the reason in a word; what to do"
    client = create(Settings(), cast("ModelService", Failing(failure(sentence)))).test_client()
    answer = client.post("/invocations", data=CLIP, headers={"Accept": accept})
    body = answer.get_data(as_text=True)

    assert answer.content_length == len(body)
    assert answer.content_type == "application/json"
    assert answer.status_code >= 400
    assert len(body) <= ORIGINAL_MESSAGE_LENGTH
    assert next(iter(json.loads(body))) == "error"
    assert body.startswith(f'{{"error": "{sentence}' if failure is not KeyError else '{"error": "the container failed')


def test_no_sentence_is_longer_than_a_model_error_can_carry(server: Server) -> None:
    """However long what the caller sent is."""
    requests: list[tuple[bytes, dict[str, str]]] = [
        (CLIP, {"Accept": "image/" + "x" * 1000}),
        (CLIP, {ATTRIBUTES: "x" * 1000 + "=" + "y" * 20}),
        (CLIP, {ATTRIBUTES: "language=" + "y" * 1000}),
        (json.dumps({"x" * 5000: 1}).encode(), {}),
        (json.dumps({"s3_uri": "s3://" + "x" * 5000}).encode(), {}),
        (json.dumps({"s3_uri": "s3://bucket/" + "x" * 5000}).encode(), {}),
        (json.dumps({"audio_b64": "", "task": "z" * 5000}).encode(), {}),
        (json.dumps({"audio_b64": "", **{f"field_{number}": 1 for number in range(500)}}).encode(), {}),
    ]
    answers = [server.send(body, headers) for body, headers in requests]

    assert {answer.status for answer in answers} <= {400, 406}
    assert max(len(answer.body) for answer in answers) <= ORIGINAL_MESSAGE_LENGTH


def test_headers_that_the_platform_may_add_change_nothing(server: Server) -> None:
    known = ("Session-Id", "Target-Model", "Target-Variant", "Inference-Component", "Prefix-Aware-Id", "Request-Id")
    added = {f"X-Amzn-SageMaker-{name}": "something" for name in (*known, "Forwarded-Api")}
    added |= {f"X-Amzn-{letter}-{'y' * 200}": letter * 100 for letter in string.ascii_uppercase[:20]}

    assert server.send(CLIP, added).body == server.send(CLIP).body


@pytest.mark.parametrize(
    "attributes", ["Root=1-678-abc;route=/v1/x", "c000b4f9-51c4-4e50-b7d2", "language=en;temperature=0"]
)
@pytest.mark.parametrize("accept", ["application/json", "application/jsonlines", "image/png"])
def test_custom_attributes_come_back_as_they_were(server: Server, attributes: str, accept: str) -> None:
    assert server.send(CLIP, {ATTRIBUTES: attributes, "Accept": accept}).headers[ATTRIBUTES] == attributes


@pytest.mark.parametrize("attributes", [None, "x" * 1025, "é"])
def test_custom_attributes_that_sagemaker_would_not_let_through_do_not_come_back(
    server: Server, attributes: str | None
) -> None:
    assert ATTRIBUTES not in server.send(b"", {ATTRIBUTES: attributes} if attributes else {}).headers


@pytest.mark.parametrize(
    ("inference_id", "body", "accept", "event"),
    [
        ("contract whole", CLIP, "application/json", "request done"),
        ("contract stream", CLIP, "application/jsonlines", "request done"),
        ("contract refused", b"no sound", "application/json", "request refused"),
        ("contract " + "x" * 55, CLIP, "text/vtt", "request done"),
    ],
)
def test_the_inference_id_comes_back_and_is_in_the_log(
    server: Server, inference_id: str, body: bytes, accept: str, event: str
) -> None:
    answer = server.send(body, {INFERENCE_ID: inference_id, "Accept": accept})

    assert answer.headers[INFERENCE_ID] == inference_id
    assert line_of(server, inference_id)["event"] == event


def test_an_inference_id_that_sagemaker_would_not_let_through_does_not_come_back(server: Server) -> None:
    assert INFERENCE_ID not in server.send(CLIP, {INFERENCE_ID: "x" * 65}).headers


def test_a_body_is_waited_for_when_its_caller_asks_whether_to_send_it(server: Server) -> None:
    """curl sends `Expect: 100-continue` before bodies above 1 MB."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Length", str(len(CLIP)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")
    connection.send(CLIP)
    answer = connection.getresponse()

    assert json.loads(answer.read())["text"] == SPOKEN.text
    connection.close()
