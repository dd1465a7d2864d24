"""SIGTERM: what is in flight is finished or told, what is new is refused, the status is 0 before SIGKILL comes."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fleet.platform import KILL_AFTER_S
from tests.conftest import DATA
from tests.http_contract.conftest import Server, start, stop, wait_ready
from tests.http_contract.long_speech import wav_of_speech
from tests.patience import wait_until

ENDED_WITHIN_S = KILL_AFTER_S - 2
LINES = {"Accept": "application/jsonlines"}


@contextmanager
def running(tmp: Path, **environ: str) -> Iterator[Server]:
    server = start(tmp, "serve", **environ)
    try:
        wait_ready(server)
        yield server
    finally:
        stop(server)


def connect(server: Server) -> closing[http.client.HTTPConnection]:
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60))


def is_refused(server: Server) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            return False
    except ConnectionRefusedError:
        return True


def begin(caller: http.client.HTTPConnection, body: bytes) -> None:
    """Send a request but for the end of its body."""
    caller.putrequest("POST", "/invocations")
    caller.putheader("Content-Length", str(len(body)))
    caller.endheaders(body[:-100])


def test_what_is_in_flight_is_finished_and_what_is_new_is_refused(tmp_path: Path) -> None:
    body = DATA.joinpath("en-one-phrase.wav").read_bytes()
    with running(tmp_path) as server, connect(server) as uploader, connect(server) as reader, connect(server) as kept:
        begin(uploader, body)
        kept.request("GET", "/ping")
        assert kept.getresponse().read() == b""  # it may send another request on its connection
        reader.request("POST", "/invocations", wav_of_speech(1), LINES)
        stream = reader.getresponse()
        records = [json.loads(stream.readline())]

        server.process.send_signal(signal.SIGTERM)
        told_s = time.monotonic()
        wait_until(lambda: is_refused(server))
        uploader.send(body[-100:])
        answer = uploader.getresponse()
        document = json.loads(answer.read())
        records += [json.loads(line) for line in stream]
        status = server.process.wait(ENDED_WITHIN_S)

        assert answer.status == 200
        assert document["text"]
        assert records[-1]["type"] == "done"
        assert records[-1]["n_segments"] == len([record for record in records if record["type"] == "segment"])
        assert status == 0
        assert time.monotonic() - told_s < ENDED_WITHIN_S
        assert list(server.scratch.iterdir()) == []
        assert not [event for event in server.entries() if event["level"] in {"ERROR", "CRITICAL"}]


def test_what_cannot_be_finished_in_time_is_told_so(tmp_path: Path) -> None:
    """An hour of speech takes longer than SageMaker waits; here both are shorter."""
    body = wav_of_speech(20)
    slow = {"X-Amzn-SageMaker-Custom-Attributes": "beam_size=10"}
    with (
        running(tmp_path, GUNICORN_CMD_ARGS="--graceful-timeout=5") as server,
        connect(server) as caller,
        connect(server) as reader,
    ):
        caller.request("POST", "/invocations", body, slow)
        reader.request("POST", "/invocations", body, {**slow, **LINES})
        stream = reader.getresponse()
        assert json.loads(stream.readline())["type"] in {"segment", "heartbeat"}

        server.process.send_signal(signal.SIGTERM)
        answer = caller.getresponse()
        refusal = json.loads(answer.read())
        last = [json.loads(line) for line in stream][-1]

        assert (answer.status, refusal["code"]) == (503, "stopping")
        assert "send the request again" in refusal["error"]
        assert last == {"type": "error", **refusal}
        assert server.process.wait(ENDED_WITHIN_S) == 0
        assert list(server.scratch.iterdir()) == []


def test_idle_connections_do_not_hold_the_container(tmp_path: Path) -> None:
    with (
        running(tmp_path) as server,
        connect(server) as kept,
        socket.create_connection(("127.0.0.1", server.port), timeout=60),
    ):
        kept.request("POST", "/invocations", DATA.joinpath("en-one-phrase.wav").read_bytes())
        assert kept.getresponse().read()
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(ENDED_WITHIN_S / 2) == 0


def test_sigterm_ends_it_while_the_model_loads(tmp_path: Path) -> None:
    server = start(tmp_path)
    try:
        wait_until(lambda: not is_refused(server))
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(ENDED_WITHIN_S) == 0
    finally:
        stop(server)
