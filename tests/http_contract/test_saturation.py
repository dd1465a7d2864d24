"""As many requests as may be in flight, and more: /ping answers, and connections are accepted."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from pathlib import Path

import pytest

from fleet.platform import ACCEPT_WITHIN_S, PING_TIMEOUT_S
from tests.chaos.processes import children_of
from tests.conftest import DATA
from tests.http_contract.conftest import Server, line_of, start, stop, wait_ready
from tests.http_contract.long_speech import wav_of_speech
from tests.patience import wait_until

IN_FLIGHT = 12
CLIP = DATA.joinpath("en-one-phrase.wav").read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes few requests at once."""
    server = start(tmp_path_factory.mktemp("small"), MAX_REQUESTS_IN_FLIGHT=str(IN_FLIGHT), ANSWER_STALL_SECONDS="1")
    try:
        wait_ready(server)
        yield server
    finally:
        stop(server)


@pytest.fixture
def full(small: Server) -> Iterator[Server]:
    """The same, with every place taken: by callers who have not sent all that they announced."""
    with ExitStack() as stack:
        callers = [
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", small.port, timeout=60)))
            for _ in range(IN_FLIGHT)
        ]
        for caller in callers:
            caller.putrequest("POST", "/invocations")
            caller.putheader("Content-Length", str(len(CLIP)))
            caller.endheaders(CLIP[:1000])
        taken = f"stt_requests_in_flight {IN_FLIGHT}.0".encode()
        wait_until(lambda: taken in small.send(method="GET", path="/metrics").body)
        yield small
        for caller in callers:
            caller.send(CLIP[1000:])
        assert [caller.getresponse().status for caller in callers] == [200] * IN_FLIGHT


def ping_within_the_limit(server: Server) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PING_TIMEOUT_S)) as connection:
        connection.request("GET", "/ping")
        return connection.getresponse().status


def status_of(caller: socket.socket) -> int:
    """Read one answer."""
    answer = http.client.HTTPResponse(caller)
    answer.begin()
    answer.read()
    return answer.status


def test_fifty_pings_are_answered_while_every_place_is_taken(full: Server) -> None:
    assert [ping_within_the_limit(full) for _ in range(50)] == [200] * 50


def test_connections_that_say_nothing_do_not_hold_up_ping(full: Server) -> None:
    """Each is accepted in time, and there are more of them than threads."""
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", full.port), timeout=ACCEPT_WITHIN_S * 8))
        assert [ping_within_the_limit(full) for _ in range(5)] == [200] * 5


def test_half_heads_do_not_hold_up_ping_and_the_other_halves_are_answered(full: Server) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
    with ExitStack() as stack:
        callers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", full.port), timeout=60)) for _ in range(40)
        ]
        for number, caller in enumerate(callers):
            if number % 2:  # after a first request that was whole
                caller.sendall(head)
                assert status_of(caller) == 200
            caller.sendall(head[: 1 + number % (len(head) - 1)])
        assert [ping_within_the_limit(full) for _ in range(5)] == [200] * 5

        for number, caller in enumerate(callers):
            for at in range(1 + number % (len(head) - 1), len(head)):
                caller.sendall(head[at : at + 1])
            assert status_of(caller) == 200


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/nowhere"])
def test_callers_who_never_send_their_bodies_do_not_hold_up_ping(full: Server, path: str) -> None:
    """Four times as many as there are threads for them; a second for each would be four."""
    with ExitStack() as stack:
        for _ in range(32):
            caller = stack.enter_context(socket.create_connection(("127.0.0.1", full.port), timeout=60))
            caller.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nRIFF".encode())
        assert ping_within_the_limit(full) == 200


@pytest.mark.parametrize(
    "begun",
    ["Content-Length: 60000\r\n\r\nRIFF", "Transfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n"],
    ids=["length", "chunks"],
)
def test_the_rest_of_a_body_that_was_given_up_is_no_request(small: Server, begun: str) -> None:
    with socket.create_connection(("127.0.0.1", small.port), timeout=60) as caller:
        caller.sendall(f"POST /nowhere HTTP/1.1\r\nHost: a\r\n{begun}".encode())
        assert status_of(caller) == 404
        with suppress(ConnectionError):
            caller.sendall(b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n")
            assert caller.recv(1) == b""


@pytest.mark.parametrize("path", ["/invocations", "/nowhere", "/ping"])
def test_a_whole_body_leaves_the_connection_open(small: Server, path: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", small.port, timeout=60)) as caller:
        caller.request("POST", path, CLIP)
        caller.getresponse().read()
        connected = caller.sock
        caller.request("POST", path, iter([CLIP]))  # in chunks
        caller.getresponse().read()
        caller.request("GET", "/ping")
        assert caller.getresponse().status == 200
        assert caller.sock is connected


def connect_to_read_little(server: Server) -> socket.socket:
    caller = socket.socket()
    caller.settimeout(60)
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    caller.connect(("127.0.0.1", server.port))
    return caller


def test_callers_who_ask_on_and_on_and_take_no_answer_are_hung_up_on(full: Server) -> None:
    with ExitStack() as stack:
        callers = [stack.enter_context(connect_to_read_little(full)) for _ in range(20)]
        for caller in callers:
            caller.sendall(2000 * b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [ping_within_the_limit(full) for _ in range(5)] == [200] * 5
        for caller in callers:
            wait_until(partial(caller.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR), "the end of the connection")


def test_a_caller_who_takes_no_more_of_a_long_answer_gives_the_place_back(small: Server) -> None:
    head = {"X-Amzn-SageMaker-Custom-Attributes": "word_timestamps=true", "X-Amzn-SageMaker-Inference-Id": "slow"}
    body = wav_of_speech(12)
    with connect_to_read_little(small) as caller:
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        caller.sendall(f"POST /invocations HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode())
        caller.sendall(body)

        assert line_of(small, "slow")["outcome"] == "client_gone"
        assert [entry for entry in small.entries() if "stack" in entry] == []


def test_requests_that_come_before_their_turn_are_answered_one_after_the_other(small: Server) -> None:
    head = b"GET /ping HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", small.port), timeout=60) as caller:
        caller.sendall(2 * head + head[:20])
        answers = caller.makefile("rb")
        for rest in (b"", head[20:], b""):
            line = answers.readline()
            while answers.readline() != b"\r\n":
                pass
            assert line == b"HTTP/1.1 200 OK\r\n"
            caller.sendall(rest)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["without end", "that ends at last"])
def test_a_head_of_a_hundred_kilobytes_is_not_waited_for(full: Server, end: bytes) -> None:
    with socket.create_connection(("127.0.0.1", full.port), timeout=60) as caller:
        with suppress(ConnectionError):  # it may be over before all has been sent
            caller.sendall(b"GET /ping HTTP/1.1\r\n" + 13 * (b"A: " + 8000 * b"a" + b"\r\n") + b"B: b" + end)
        with suppress(ConnectionResetError):
            assert caller.recv(1000).partition(b"\r\n")[0] in (b"", b"HTTP/1.1 200 OK")
        assert ping_within_the_limit(full) == 200


def test_a_caller_who_leaves_in_the_middle_of_a_head_is_forgotten(small: Server) -> None:
    def connections() -> int:
        n = 0
        for link in Path(f"/proc/{worker}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                n += str(link.readlink()).startswith("socket:")
        return n

    (worker,) = children_of(small.process.pid)
    before = connections()
    for is_abrupt in (False, True) * 20:
        with socket.create_connection(("127.0.0.1", small.port), timeout=60) as caller:
            caller.sendall(b"GET /ping HT")
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", is_abrupt, 0))

    wait_until(lambda: connections() <= before, "the end of all connections")


def test_one_request_more_is_refused_at_once_with_when_to_return(full: Server) -> None:
    answer = full.send(b"x" * 1000)

    assert answer.status == 503
    assert json.loads(answer.body)["code"] == "busy"
    assert int(answer.headers["Retry-After"]) >= 1
    assert int(answer.headers["Content-Length"]) == len(answer.body)
