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
