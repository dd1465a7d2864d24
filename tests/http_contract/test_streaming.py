"""Answers that come piece by piece, and what batch transform is told."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from app import create
from inference import ModelService
from tests.conftest import DATA
from tests.http_contract.conftest import Answer, Server
from tests.http_contract.long_speech import wav_of_speech
from tests.patience import wait_until
from transcriber.audio.disk import Disk
from transcriber.audio.sources import Upload
from transcriber.errors import DeviceFault
from transcriber.settings import Settings
from transcriber.transcript import Segment

LINES, EVENTS = "application/jsonlines", "text/event-stream"
LONG = "two-minutes.flac"


def records(answer: Answer) -> list[dict[str, Any]]:
    text = answer.body.decode()
    if answer.headers["Content-Type"] == LINES:
        return [json.loads(line) for line in text.splitlines()]
    blocks = text.split("\n\n")
    assert blocks.pop() == ""
    found = []
    for block in blocks:
        name, data = block.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def form(file: bytes, **fields: str) -> tuple[bytes, dict[str, str]]:
    parts = [
        f'--border\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()
    ]
    parts.append(b'--border\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n' + file + b"\r\n")
    return b"".join([*parts, b"--border--\r\n"]), {"Content-Type": "multipart/form-data; boundary=border"}


@pytest.mark.parametrize("media", [LINES, EVENTS])
@pytest.mark.parametrize("name", [LONG, "en-two-phrases.mp3", "silence.wav"])
def test_a_stream_says_what_the_answer_in_one_piece_says(server: Server, media: str, name: str) -> None:
    audio = DATA.joinpath(name).read_bytes()
    greedy = {"X-Amzn-SageMaker-Custom-Attributes": "temperature=0"}
    whole = json.loads(server.send(audio, greedy).body)
    answer = server.send(audio, {**greedy, "Accept": media})

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(media)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    *segments, done = [record for record in records(answer) if record["type"] != "heartbeat"]
    assert segments == [
        {"type": "segment", "id": number, **segment} for number, segment in enumerate(whole.pop("segments"))
    ]
    assert done == {"type": "done", "n_segments": len(segments), **whole}


def test_a_stream_can_be_asked_for_in_every_dialect(server: Server) -> None:
    audio = DATA.joinpath("es-two-phrases.flac").read_bytes()
    in_json = json.dumps({"audio_b64": base64.b64encode(audio).decode(), "stream": True, "word_timestamps": True})
    in_form, form_type = form(audio, stream="true", word_timestamps="true")
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "stream=true;word_timestamps=true"}

    answers = [
        server.send(in_json.encode(), {"Content-Type": "application/json"}),
        server.send(in_form, form_type),
        server.send(audio, attributes),
    ]

    first, *others = [records(answer) for answer in answers]
    assert first[-1]["type"] == "done"
    assert first[0]["words"]
    assert others == [first, first]


def test_the_first_segment_comes_while_the_rest_is_being_heard(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    named = {"X-Amzn-SageMaker-Inference-Id": "early"}
    connection.request("POST", "/invocations", wav_of_speech(2), {"Accept": LINES, **named})
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    is_over = '"request_id": "early"' in server.log.read_text("utf-8")
    rest = [json.loads(line) for line in answer]
    connection.close()

    assert first["type"] in {"segment", "heartbeat"}
    assert not is_over
    assert rest[-1]["type"] == "done"


def test_what_fails_before_the_first_piece_has_its_status(server: Server) -> None:
    answer = server.send(b"this is no sound" * 100, {"Accept": LINES})

    assert answer.status == 415
    assert "Content-Length" in answer.headers
    assert json.loads(answer.body)["code"] == "not_audio"


class Breaking:
    """A service that fails after one segment and a pause."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.in_flight = 0
        self.disk = Disk(1_000_000)

    @contextmanager
    def admit(self) -> Iterator[None]:
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    def stream(self, *_: object, **__: object) -> Generator[Segment | None]:
        yield Segment(start_s=0, end_s=1, text=" good morning")
        yield None
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "code", "sentence"),
    [
        (DeviceFault("the device failed"), "device_fault", "the device failed"),
        (KeyError("a slip of ours"), "internal_error", "its log says why"),
    ],
)
def test_what_fails_after_the_first_piece_is_the_last_record(failure: Exception, code: str, sentence: str) -> None:
    service = Breaking(failure)
    client = create(Settings(), cast("ModelService", service)).test_client()

    answer = client.post("/invocations", data=b"RIFF", headers={"Accept": LINES})
    assert (answer.status_code, service.in_flight) == (200, 1)
    first, beat, last = [json.loads(line) for line in answer.get_data().splitlines()]
    answer.close()

    assert (first["type"], beat["type"]) == ("segment", "heartbeat")
    assert (last["type"], last["code"]) == ("error", code)
    assert sentence in last["error"]
    assert service.in_flight == 0


class Following(Breaking):
    """A service that reads on in the file when the first segment has gone out, as it does with a long recording."""

    def __init__(self) -> None:
        super().__init__(DeviceFault("the file has ended"))

    def stream(self, source: Upload, *_: object, **__: object) -> Generator[Segment | None]:
        while word := source.file.read(5):
            yield Segment(start_s=0, end_s=1, text=word.decode())
        raise self.failure


@pytest.mark.parametrize("is_form", [False, True], ids=["body", "form"])
def test_a_file_can_be_read_until_the_stream_has_ended(is_form: bool) -> None:
    """Flask closes a request when it has the answer, and not when the answer has gone out."""
    client = create(Settings(), cast("ModelService", Following())).test_client()
    body, headers = form(b"good morning", stream="true") if is_form else (b"good morning", {"Accept": LINES})

    answer = client.post("/invocations", data=body, headers=headers)
    *segments, last = [json.loads(line) for line in answer.get_data().splitlines()]
    answer.close()

    assert [segment["text"] for segment in segments] == ["good", "morni", "ng"]
    assert last["error"] == "the file has ended"


def test_what_fails_in_a_stream_of_openai_s_is_openai_s_too() -> None:
    service = Breaking(DeviceFault("the device failed"))
    client = create(Settings(), cast("ModelService", service)).test_client()
    body, headers = form(b"RIFF", stream="true")

    answer = client.post("/v1/audio/transcriptions", data=body, headers=headers)
    delta, beat, failure = answer.get_data().decode().strip().split("\n\n")
    answer.close()

    assert json.loads(delta.removeprefix("data: ")) == {"type": "transcript.text.delta", "delta": "good morning"}
    assert beat.startswith(":")
    assert json.loads(failure.removeprefix("data: "))["error"] == {
        "message": "the device failed",
        "type": "server_error",
        "param": None,
        "code": "device_fault",
    }


def test_a_slip_of_ours_is_told_in_the_shape_of_the_path() -> None:
    service = Breaking(KeyError("a slip of ours"))
    service.stream = service.transcribe = None  # type: ignore[assignment,attr-defined]  # calling it is the slip
    client = create(Settings(), cast("ModelService", service)).test_client()
    body, headers = form(b"RIFF", model="x")

    ours = client.post("/invocations", data=body, headers=headers)
    theirs = client.post("/v1/audio/transcriptions", data=body, headers=headers)

    assert (ours.status_code, ours.get_json()["code"]) == (500, "internal_error")
    assert (theirs.status_code, theirs.get_json()["error"]["type"]) == (500, "server_error")


def test_a_reader_who_leaves_takes_nothing_with_him(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/invocations", DATA.joinpath(LONG).read_bytes(), {"Accept": LINES})
    answer = connection.getresponse()
    assert json.loads(answer.readline())["type"] in {"segment", "heartbeat"}
    connection.close()

    assert server.send(DATA.joinpath("en-one-phrase.wav").read_bytes()).status == 200
    wait_until(lambda: not list(server.scratch.iterdir()), "the removal of the request's body")


def test_batch_transform_is_told_how_much_to_send(server: Server) -> None:
    answer = server.send(method="GET", path="/execution-parameters")

    assert answer.status == 200
    told = json.loads(answer.body)
    assert set(told) == {"MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"}
    assert told["BatchStrategy"] == "SINGLE_RECORD"
    assert 0 < told["MaxConcurrentTransforms"] * told["MaxPayloadInMB"] <= 100


def test_a_body_in_chunks_of_unknown_length_is_read(server: Server) -> None:
    audio = DATA.joinpath("en-one-phrase.wav").read_bytes()

    in_chunks = server.send(iter([audio[:1000], audio[1000:]]))

    assert in_chunks.status == 200
    assert in_chunks.body == server.send(audio).body
