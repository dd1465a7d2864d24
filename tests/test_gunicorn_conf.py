"""What the server's settings ask of gunicorn beyond its own settings; the rest is seen over HTTP."""

from __future__ import annotations

import runpy
import socket
import struct
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import get_parser, message, wsgi
from gunicorn.http.unreader import SocketUnreader

from tests.conftest import ROOT
from transcriber.audio.spool import BLOCK_BYTES


class Socket:
    def __init__(self) -> None:
        self.asked: list[int] = []
        self.sent: list[tuple[bytes, int]] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        return bytes(size)

    def sendall(self, content: bytes, flags: int = 0) -> None:
        self.sent.append((content, flags))


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    for owner, name in ((SocketUnreader, "max_body_chunk"), (message, "Body"), (wsgi, "Response")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # so that it comes back
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


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbod\r\n1\r\ny\r\n0\r\n\r\n"


@pytest.mark.parametrize("request_bytes", [BODY, CHUNKED], ids=["counted", "chunked"])
@pytest.mark.parametrize("buffer_bytes", [1, 3, 4, 100])
@pytest.mark.parametrize("read_bytes", [0, 1])
@pytest.mark.parametrize("with_the_head", [True, False])
@pytest.mark.parametrize("given_as", [bytearray, memoryview])  # the first by werkzeug, which reads forms
def test_a_buffer_is_filled_with_the_body_and_no_more(
    worker: Any, request_bytes: bytes, buffer_bytes: int, read_bytes: int, with_the_head: bool, given_as: Any
) -> None:
    """What came with the head is held by gunicorn; the rest comes from the socket, before the next request."""
    cut = len(request_bytes) if with_the_head else request_bytes.index(b"\r\n\r\n") + 4
    line = Line(request_bytes[:cut])
    with closing(line):
        body = next(line.conn.parser).body
        line.theirs.sendall(request_bytes[cut:] + NEXT)
        came = body.read(read_bytes)
        buffer = bytearray(buffer_bytes)
        while count := body.readinto(buffer if given_as is bytearray else memoryview(buffer)):
            came += buffer[:count]

        assert came == b"body"
        assert body.read() == b""
        assert worker._keepalive_after(line.conn, True)
        assert next(line.conn.parser).uri == "/next"


def test_a_body_that_breaks_off_fills_what_came_and_ends_the_connection(worker: Any) -> None:
    line = Line(BODY[:-1])
    with closing(line):
        body = next(line.conn.parser).body
        line.theirs.shutdown(socket.SHUT_WR)
        buffer = memoryview(bytearray(4))
        counts = [body.readinto(buffer), body.readinto(buffer)]

        assert (counts, bytes(buffer[:3])) == ([3, 0], b"bod")
        assert worker._keepalive_after(line.conn, True)  # gunicorn's answer; the loop finds that the caller has gone
        with pytest.raises(StopIteration):
            next(line.conn.parser)


@pytest.mark.usefixtures("conf")
def test_a_body_that_does_not_come_ends_the_connection() -> None:
    line = Line(BODY[:-4])
    with closing(line):
        body = next(line.conn.parser).body
        line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1))
        with pytest.raises(BlockingIOError):
            body.readinto(memoryview(bytearray(4)))

        assert body.failed


@pytest.mark.usefixtures("conf")
@pytest.mark.parametrize(
    ("method", "length", "flags"),
    [
        ("GET", "4", [socket.MSG_MORE, 0]),
        ("GET", "0", [0]),
        ("GET", None, [0, 0, 0]),
        ("HEAD", "4", [0]),
    ],
    ids=["with a body", "with an empty one", "in chunks", "without"],
)
def test_a_head_waits_for_the_body_that_is_about_to_be_sent(
    monkeypatch: pytest.MonkeyPatch, method: str, length: str | None, flags: list[int]
) -> None:
    """All else is as gunicorn's own answer has it."""
    monkeypatch.setattr("gunicorn.util.http_date", lambda: "now")
    content = b"" if length == "0" else b"text"

    def sent_by(kind: Any) -> list[tuple[bytes, int]]:
        line = Line(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        with closing(line):
            sock = Socket()
            answer = kind(next(line.conn.parser), sock, Config())
            answer.start_response("200 OK", [("X-A", "b"), *([("Content-Length", length)] if length else [])])
            answer.write(content)
            answer.close()
        return sock.sent

    ours, theirs = sent_by(wsgi.Response), sent_by(wsgi.Response.__mro__[1])

    assert [content for content, _ in ours] == [content for content, _ in theirs]
    assert [flag for _, flag in ours] == flags
