"""A real `./serve` with the demo model, and a real S3 over HTTP, for the whole folder."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.conftest import DEMO_MODEL, ROOT
from tests.patience import comes_about, wait_until

BUCKET = "recordings"
READY_WITHIN_S = 60
WITHIN_S = 60
LIMITS = {
    "MAX_BODY_BYTES": str(8 * 1024 * 1024),
    "MAX_JSON_BYTES": str(4 * 1024 * 1024),
    "MAX_OBJECT_BYTES": str(4 * 1024 * 1024),
    "MAX_AUDIO_SECONDS": "300",
}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Server:
    """A running container, as a caller sees it."""

    port: int
    scratch: Path
    process: subprocess.Popen[bytes]
    log: Path

    def send(
        self,
        body: Any = b"",
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
        path: str = "/invocations",
    ) -> Answer:
        """Send one request; an iterator as body is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=110)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines of the log that are whole: a reader may see half of what is being written."""
        whole, _, _ = self.log.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    stand_in = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    stand_in.start()
    host, port = stand_in.get_host_and_port()
    yield f"http://{host}:{port}"
    stand_in.stop()


@pytest.fixture
def s3(s3_url: str) -> Any:
    """A client of the stand-in, whose bucket is made anew: all stand-ins of a process share what they hold, and
    another folder's tests may have emptied it."""
    client = boto3.client(
        "s3", endpoint_url=s3_url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
    )
    client.create_bucket(Bucket=BUCKET)
    return client


def start(tmp: Path, *arguments: str, port: int | None = None, **environ: str) -> Server:
    """Run `serve` with these arguments; with a `port`, it is for `environ` to say it."""
    told = {} if port else {"PORT": str(port := free_port())}
    scratch = tmp / "scratch"
    scratch.mkdir()
    log = tmp / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))},
        **CREDENTIALS,
        "MODEL_ID": str(DEMO_MODEL),
        **told,
        "TMPDIR": str(scratch),
        **environ,
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "serve"), *arguments], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    return Server(port=port, scratch=scratch, process=process, log=log)


def wait_ready(server: Server) -> None:
    def is_ready() -> bool:
        assert server.process.poll() is None, server.log.read_text()
        with suppress(OSError):
            return server.send(method="GET", path="/ping").status == 200
        return False

    assert comes_about(is_ready, within_s=READY_WITHIN_S), server.log.read_text()


def line_of(server: Server, request_id: str) -> dict[str, Any]:
    """Return the one line of a request; it is written when its answer is out, perhaps after it has been read."""

    def found() -> list[dict[str, Any]]:
        requests = [entry for entry in server.entries() if entry["event"].startswith("request ")]
        return [entry for entry in requests if entry["request_id"] == request_id]

    (line,) = wait_until(found, f"the line of request {request_id}")
    return line


def stop(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[Server]:
    running = start(
        tmp_path_factory.mktemp("server"),
        S3_ENDPOINT_URL=s3_url,
        S3_MAX_ATTEMPTS="1",
        MAX_BATCH_WINDOWS="2",  # requests shall meet in batches on every processor
        **LIMITS,
    )
    wait_ready(running)
    yield running
    stop(running)
