"""A container without AWS, played by a small server of this process; tests/scripts/test_clients.py calls endpoints."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleet.client.calls import container_at
from fleet.client.errors import CannotCall, Failed, Misused
from fleet.client.recordings import S3Object, recording_of
from fleet.client.wishes import Wishes, wishes_of

OBJECT = S3Object("calls", "monday.mp3")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    script: dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        script = self.server.script
        size = int(self.headers["Content-Length"])
        body = b"" if script.get("is_rude") else self.rfile.read(size)
        seen = {"path": self.path, "body": body.decode(), "headers": dict(self.headers.items())}
        content = script.get("answer") or json.dumps(seen).encode()
        time.sleep(script.get("silence_s", 0))  # how long the container says nothing, told by the test
        self.send_response(script.get("status", 200))
        self.send_header("Content-Length", str(len(content) + script.get("missing", 0)))
        self.end_headers()
        with suppress(BrokenPipeError):  # a caller whose patience was over
            self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.script = {}
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def sound(tmp_path: Path) -> Any:
    (tmp_path / "a.wav").write_bytes(b"sound")
    return recording_of(str(tmp_path / "a.wav"))


@pytest.mark.parametrize("ending", ["", "/", "/invocations"])
def test_a_file_is_sent_as_it_is_with_its_options_beside_it(ending: str, server: Server, sound: Any) -> None:
    answer = container_at(url(server) + ending, timeout_s=10).ask(sound, wishes_of(language="de", words=True))
    seen = json.loads(answer)

    assert (seen["path"], seen["body"]) == ("/invocations", "sound")
    assert seen["headers"]["X-Amzn-SageMaker-Custom-Attributes"] == "language=de;word_timestamps=true"


def test_an_object_is_named_in_a_json_body_with_its_options_within(server: Server) -> None:
    seen = json.loads(container_at(url(server), timeout_s=10).ask(OBJECT, wishes_of(words=True)))

    assert json.loads(seen["body"]) == {"s3_uri": "s3://calls/monday.mp3", "word_timestamps": True}
    assert seen["headers"]["Content-Type"] == "application/json"
    assert "X-Amzn-SageMaker-Custom-Attributes" not in seen["headers"]


def test_a_stream_is_asked_for_and_comes_in_parts(server: Server) -> None:
    server.script = {}
    parts = container_at(url(server), timeout_s=10).stream(OBJECT, Wishes(is_stream=True))

    assert json.loads(b"".join(parts))["headers"]["Accept"] == "application/jsonlines"


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        ({"status": 415, "answer": b'{"error": "no audio"}'}, Failed, "the container answered 415: no audio"),
        ({"status": 404, "answer": b"\n"}, Failed, "the container answered 404: Not Found"),
        ({"missing": 5}, CannotCall, "IncompleteRead"),
        ({"silence_s": 1}, CannotCall, "said nothing for 0.2 s; see --timeout"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    script: dict[str, Any], kind: type[CannotCall], sentence: str, server: Server
) -> None:
    server.script = script

    with pytest.raises(kind, match=sentence):
        container_at(url(server), timeout_s=0.2).ask(OBJECT, Wishes())


def test_a_container_that_refuses_before_it_has_read_is_heard(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "big.wav").open("wb") as file:
        file.truncate(20_000_000)
    server.script = {"is_rude": True, "status": 413, "answer": b'{"error": "too large"}'}

    # its answer may be lost with the connection; then the connection is what is told of
    with pytest.raises(CannotCall, match=r"413: too large|the connection to .* failed"):
        container_at(url(server), timeout_s=10).ask(recording_of(str(tmp_path / "big.wav")), Wishes())


def test_nobody_at_the_address_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"http://127.0.0.1:{gone.getsockname()[1]}"

    with pytest.raises(CannotCall, match="nothing listens at"):
        container_at(address, timeout_s=1).ask(OBJECT, Wishes())


@pytest.mark.parametrize("address", ["127.0.0.1:8080", "ftp://x", "http://", "http://x:port", "http://[x"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Misused, match="looks like http://"):
        container_at(address, timeout_s=1)


def test_a_file_that_is_gone_is_told(server: Server, sound: Any) -> None:
    sound.path.unlink()

    with pytest.raises(Misused, match="cannot be read any more"):
        container_at(url(server), timeout_s=1).ask(sound, Wishes())
