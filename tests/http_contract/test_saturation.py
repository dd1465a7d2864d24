"""As many requests as may be in flight, and more: /ping answers, and connections are accepted."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from fleet.platform import ACCEPT_WITHIN_S, PING_TIMEOUT_S
from tests.conftest import DATA
from tests.http_contract.conftest import Server, start, stop, wait_ready
from tests.patience import wait_until

IN_FLIGHT = 12
CLIP = DATA.joinpath("en-one-phrase.wav").read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes few requests at once."""
    server = start(tmp_path_factory.mktemp("small"), MAX_REQUESTS_IN_FLIGHT=str(IN_FLIGHT))
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


def test_fifty_pings_are_answered_while_every_place_is_taken(full: Server) -> None:
    assert [ping_within_the_limit(full) for _ in range(50)] == [200] * 50


def test_connections_that_say_nothing_do_not_hold_up_ping(full: Server) -> None:
    """Each is accepted in time, and there are more of them than threads."""
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", full.port), timeout=ACCEPT_WITHIN_S * 8))
        assert [ping_within_the_limit(full) for _ in range(5)] == [200] * 5


def test_one_request_more_is_refused_at_once_with_when_to_return(full: Server) -> None:
    answer = full.send(b"x" * 1000)

    assert answer.status == 503
    assert json.loads(answer.body)["code"] == "busy"
    assert int(answer.headers["Retry-After"]) >= 1
    assert int(answer.headers["Content-Length"]) == len(answer.body)
