"""What the server's settings ask of gunicorn beyond its own settings; the rest is seen over HTTP."""

from __future__ import annotations

import runpy
import socket
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser
from gunicorn.http.unreader import SocketUnreader

from tests.conftest import ROOT
from transcriber.audio.spool import BLOCK_BYTES


class Socket:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        return bytes(size)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(SocketUnreader, "max_body_chunk", SocketUnreader.max_body_chunk)  # so that it comes back
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


@pytest.mark.usefixtures("conf")
def test_no_more_is_taken_from_the_socket_than_a_block() -> None:
    sock = Socket()
    unreader = SocketUnreader(sock)

    assert len(unreader.read(BLOCK_BYTES, read_ahead=10 * BLOCK_BYTES)) == BLOCK_BYTES
    assert sock.asked == [BLOCK_BYTES]


def test_no_access_log_is_put_together(conf: dict[str, Any]) -> None:
    config = Config()
    config.set("logconfig_dict", conf["logconfig_dict"])

    assert conf["logger_class"](config).access_log_enabled is False


@pytest.mark.parametrize(
    ("head", "is_ping"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET /pings HTTP/1.1\r\n\r\n", False),
        (b"POST /ping HTTP/1.1\r\n\r\n", False),
        (b"GET /ping HTTP/1.1\r\nHost: a\r\n", False),
        (b"GET /ping HTTP/1.1\r\n\r\nGET /ping HTTP/1.1\r\n\r\n", False),
        (b"GET /ping HTTP/1.1\r\nContent-Length: 5\r\n\r\n", False),
        (b"GET /ping HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_a_ping_that_is_all_there_is_answered_by_the_loop(
    conf: dict[str, Any], head: bytes, is_ping: bool
) -> None:
    assert conf["_is_ping"](head) is is_ping


class Line:
    """A connection over which requests come, in gunicorn's own pieces."""

    def __init__(self, *arrived: bytes) -> None:
        self.sock, self.theirs = socket.socketpair()
        self.theirs.sendall(b"".join(arrived))
        self.conn = SimpleNamespace(sock=self.sock, parser=get_parser(Config(), self.sock, ("127.0.0.1", 1)))

    def close(self) -> None:
        self.sock.close()
        self.theirs.close()


@pytest.fixture
def worker(conf: dict[str, Any]) -> Any:
    return conf["PatientWorker"].__new__(conf["PatientWorker"])


BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("read_bytes", [0, 2, 4])
def test_the_next_request_is_found_whatever_was_read_of_the_body(worker: Any, read_bytes: int) -> None:
    line = Line(BODY, NEXT)
    with closing(line):
        assert next(line.conn.parser).body.read(read_bytes) == b"body"[:read_bytes]

        assert worker._keepalive_after(line.conn, True)
        assert next(line.conn.parser).uri == "/next"


def test_a_body_that_nobody_can_read_on_ends_the_connection(worker: Any) -> None:
    line = Line(BODY)
    with closing(line):
        request = next(line.conn.parser)
        request.body.read(4)
        request.body.failed = True

        assert not worker._keepalive_after(line.conn, True)
