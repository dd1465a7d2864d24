from __future__ import annotations

import socket
import threading

import pytest

from fleet.load.errors import CannotMeasure
from fleet.load.http_line import HttpLine, Reply
from tests.fleet.load.fake_server import TRANSCRIPT, FakeServer


def test_body_goes_out_as_wav_and_the_whole_answer_comes_back(server: FakeServer) -> None:
    line = HttpLine(server.url)
    reply = line.ask("POST", "/invocations", b"RIFF")
    line.close()

    assert reply == Reply(status=200, body=TRANSCRIPT)
    assert (server.bodies, server.content_types) == ([b"RIFF"], ["audio/wav"])


def test_connection_is_kept(server: FakeServer) -> None:
    line = HttpLine(server.url + "/")
    replies = [line.ask("POST", "/invocations", b"RIFF") for _ in range(3)]
    line.close()

    assert [reply.status for reply in replies] == [200] * 3
    assert len(server.peers) == 1


def test_connection_that_the_server_closed_meanwhile_is_opened_anew(server: FakeServer) -> None:
    server.closes_unasked = True
    line = HttpLine(server.url)
    replies = [line.ask("POST", "/invocations", b"RIFF") for _ in range(3)]
    line.close()

    assert [reply.status for reply in replies] == [200] * 3
    assert len(server.peers) == 3


def test_refusal_is_an_answer(server: FakeServer) -> None:
    server.status, server.body = 503, b'{"error": "busy"}'
    line = HttpLine(server.url)

    assert line.ask("POST", "/invocations", b"RIFF") == Reply(status=503, body=b'{"error": "busy"}')
    line.close()


def answered_with(raw: bytes) -> Reply:
    """Ask a server that sends these bytes to each caller and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            caller, _ = listening.accept()
            with caller:
                caller.recv(1024)
                caller.sendall(raw)

        answering = threading.Thread(target=answer)
        answering.start()
        line = HttpLine(f"http://127.0.0.1:{listening.getsockname()[1]}")
        reply = line.ask("GET", "/ping")
        line.close()
        answering.join()
    return reply


def test_answer_in_chunks_is_put_together() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsix\r\n4\r\n two\r\n0\r\n\r\n"

    assert answered_with(raw) == Reply(status=200, body=b"six two")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", b"the server closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsix", b"the server closed the connection in the middle"),
        (b"220 mail.example ESMTP\r\n", b"Expected HTTP/"),
    ],
)
def test_what_is_no_whole_answer_has_status_0(raw: bytes, why: bytes) -> None:
    reply = answered_with(raw)

    assert reply.status == 0
    assert reply.body.startswith(why)


def test_nobody_there_is_said_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = HttpLine(f"http://127.0.0.1:{port}")

    with pytest.raises(CannotMeasure, match=f"nobody listens at 127.0.0.1:{port}"):
        line.ask("GET", "/ping")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/", "http://"])
def test_what_is_no_address_is_said_so(url: str) -> None:
    with pytest.raises(CannotMeasure, match="is not an address"):
        HttpLine(url)


def test_hanging_up_ends_the_wait_of_another_thread() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = HttpLine(f"http://127.0.0.1:{silent.getsockname()[1]}")
        replies: list[Reply] = []
        waiting = threading.Thread(target=lambda: replies.append(line.ask("POST", "/invocations", b"RIFF")))
        waiting.start()
        caller, _ = silent.accept()
        caller.recv(1024)  # the request is out
        line.hang_up()
        waiting.join(timeout=30)
        caller.close()

    assert [reply.status for reply in replies] == [0]
    assert line.ask("GET", "/ping").status == 0
    line.close()
