"""Each limit, over HTTP: taken at the limit and one below, refused one above."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import wave
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http_contract.conftest import BUCKET, LIMITS, Server, start, stop, wait_ready
from tests.http_contract.test_bad_input import multipart
from transcriber.audio.memory import BUFFER_BYTES

AROUND = pytest.mark.parametrize(("excess", "status"), [(-1, 200), (0, 200), (1, 413)])
DISK_BYTES = BUFFER_BYTES + 100_000
"""Smaller bodies stay in memory."""


def silence(samples: int, *, rate_hz: int = 16_000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, rate_hz, 0, "NONE", ""))
        sound.writeframes(bytes(2 * samples))
    return file.getvalue()


def wav_of(size_bytes: int) -> bytes:
    """A second of silence, and what is missing to the size in a chunk behind it."""
    sound = silence(16_000)
    rest = size_bytes - len(sound) - 8
    return sound + b"junk" + struct.pack("<I", rest) + bytes(rest)


def code_of(body: bytes) -> str:
    return str(json.loads(body)["code"])


@AROUND
def test_bytes_of_a_body(server: Server, excess: int, status: int) -> None:
    answer = server.send(wav_of(int(LIMITS["MAX_BODY_BYTES"]) + excess))

    assert answer.status == status


@AROUND
def test_bytes_of_a_body_that_does_not_say_how_long_it_is(server: Server, excess: int, status: int) -> None:
    body = wav_of(int(LIMITS["MAX_BODY_BYTES"]) + excess)
    answer = server.send(body[at : at + 1024 * 1024] for at in range(0, len(body), 1024 * 1024))

    assert answer.status == status


@AROUND
def test_bytes_of_json(server: Server, excess: int, status: int) -> None:
    document = json.dumps({"audio_b64": base64.b64encode(silence(16_000)).decode()})
    body = document.ljust(int(LIMITS["MAX_JSON_BYTES"]) + excess).encode()

    assert server.send(body, {"Content-Type": "application/json"}).status == status


@AROUND
def test_bytes_of_an_object(server: Server, s3: Any, excess: int, status: int) -> None:
    s3.put_object(Bucket=BUCKET, Key="edge.wav", Body=wav_of(int(LIMITS["MAX_OBJECT_BYTES"]) + excess))

    assert server.send(json.dumps({"s3_uri": f"s3://{BUCKET}/edge.wav"}).encode()).status == status


@AROUND
def test_seconds_of_a_recording(server: Server, excess: int, status: int) -> None:
    rate_hz = 8_000
    answer = server.send(silence(int(LIMITS["MAX_AUDIO_SECONDS"]) * rate_hz + excess, rate_hz=rate_hz))

    assert answer.status == status


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n", id="a long first line"),
        pytest.param(b"GET /ping HTTP/1.1\r\n" + b"X: y\r\n" * 70, id="many headers"),
        pytest.param(b"GET /ping HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n", id="a long header"),
        pytest.param(b"GET /ping HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", id="two lengths"),
        pytest.param(
            b"POST /ping HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", id="two ways to end"
        ),
    ],
)
def test_headers_beyond_reason_are_refused(server: Server, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as caller:
        caller.sendall(head + b"\r\n")
        status = caller.recv(100).split()[1]

    assert 400 <= int(status) < 500
    assert server.send(method="GET", path="/ping").status == 200


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[Server]:
    """A server with next to no disk, no patience, and one place in S3."""
    running = start(
        tmp_path_factory.mktemp("small"),
        S3_ENDPOINT_URL=s3_url,
        MAX_DISK_BYTES=str(DISK_BYTES),
        BODY_STALL_SECONDS="1",
        ALLOWED_S3_PREFIXES=f"s3://{BUCKET}/open/",
    )
    wait_ready(running)
    yield running
    stop(running)


@AROUND
def test_bytes_on_disk(small: Server, excess: int, status: int) -> None:
    assert small.send(wav_of(DISK_BYTES + excess)).status == status
    assert small.send(iter([wav_of(DISK_BYTES + excess)])).status == status


@AROUND
def test_bytes_on_disk_of_a_form(small: Server, excess: int, status: int) -> None:
    body, headers = multipart(("file", "a.wav", wav_of(DISK_BYTES + excess)))

    assert small.send(body, headers).status == status


def test_what_others_have_on_disk_counts_and_a_caller_who_stops_sending_gives_it_back(small: Server) -> None:
    answer = small.send(wav_of(DISK_BYTES - 10))
    for _ in range(10):  # the silent caller may not have been admitted yet, or be refused already
        with socket.create_connection(("127.0.0.1", small.port), timeout=60) as silent:
            silent.sendall(b"POST /invocations HTTP/1.0\r\nContent-Length: %d\r\n\r\nRIFF" % (BUFFER_BYTES + 60_000))
            answer = small.send(wav_of(DISK_BYTES - 10))
            refused = silent.makefile("rb").read()
        if answer.status != 200:
            break

    assert (answer.status, code_of(answer.body)) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert refused.split()[1] == b"400"
    assert b"nothing more of the body came for 1 seconds" in refused
    assert small.send(wav_of(DISK_BYTES - 10)).status == 200


def test_objects_elsewhere_may_not_be_named_whether_they_exist_or_not(small: Server, s3: Any) -> None:
    for key in ("open/a.wav", "open-not/a.wav", "a.wav"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=silence(16_000))

    def answer(key: str) -> tuple[int, str]:
        answered = small.send(json.dumps({"s3_uri": f"s3://{BUCKET}/{key}"}).encode())
        return answered.status, json.loads(answered.body).get("code", "")

    assert answer("open/a.wav") == (200, "")
    assert answer("open/missing.wav") == (404, "source_not_found")
    for key in ("a.wav", "missing.wav", "open-not/a.wav", "open"):
        assert answer(key) == ((404, "source_not_found") if key == "open" else (403, "source_forbidden"))
    assert answer("open/../a.wav") == (400, "malformed_request")
