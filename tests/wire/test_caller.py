from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, cast

import pytest

from transcriber.errors import CallerGone, MalformedRequest
from transcriber.wire.caller import HEARD_BYTES, HEARD_WITHIN_S, Caller, Patience


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


Pair = tuple[socket.socket, socket.socket]


def test_a_caller_who_waits_has_not_left(pair: Pair) -> None:
    assert not Caller(pair[0]).has_left()


def test_a_caller_who_closed_has_left(pair: Pair) -> None:
    pair[1].close()

    assert Caller(pair[0]).has_left()


def test_a_caller_who_sends_the_next_request_has_not_left_and_it_is_not_eaten(pair: Pair) -> None:
    pair[1].sendall(b"GET /ping")

    assert not Caller(pair[0]).has_left()
    assert pair[0].recv(9) == b"GET /ping"


def test_a_connection_that_was_reset_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()

    with ours:
        assert Caller(ours).has_left()


def test_a_caller_who_cannot_be_seen_stays() -> None:
    caller = Caller(None)

    assert not caller.has_left()
    with caller.sends_on(within_s=0.01):
        pass


def test_a_body_that_stops_coming_is_refused(pair: Pair) -> None:
    pair[1].sendall(b"half")
    with (
        pytest.raises(MalformedRequest, match=r"nothing more of the body came for 0\.05 seconds"),
        Caller(pair[0]).sends_on(within_s=0.05),
    ):
        while pair[0].recv(100):
            pass

    assert pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)


def test_a_connection_that_is_reset_in_the_body_is_a_caller_who_has_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()

    with ours, pytest.raises(CallerGone, match="in the middle of the body"), Caller(ours).sends_on(within_s=1.0):
        ours.recv(1)


def test_other_failures_of_reading_pass(pair: Pair) -> None:
    with pytest.raises(FileNotFoundError), Caller(pair[0]).sends_on(within_s=1.0):
        raise FileNotFoundError


def test_a_refused_caller_is_heard_out_up_to_a_limit(pair: Pair) -> None:
    body = io.BytesIO(bytes(HEARD_BYTES + 1_000_000))

    Caller(pair[0]).hear_out(body)

    assert HEARD_BYTES <= body.tell() < HEARD_BYTES + 1_000_000
    assert pair[0].gettimeout() is None


def test_refused_callers_share_the_time_in_which_they_are_heard() -> None:
    patience = Patience()
    with patience.share() as first, patience.share() as second, patience.share():
        pass
    with pytest.raises(OSError, match="gone"), patience.share():
        raise OSError("gone")
    with patience.share() as alone_again:
        pass

    assert (first, second, alone_again) == (HEARD_WITHIN_S, HEARD_WITHIN_S / 2, HEARD_WITHIN_S)


def test_a_refused_caller_who_stops_is_not_waited_for(pair: Pair) -> None:
    pair[1].sendall(b"RIFF")
    with pair[0].makefile("rb") as body:
        Caller(pair[0]).hear_out(cast("BinaryIO", body))
        assert body.read() == b""  # what reads on does not wait either


def test_a_refused_caller_who_never_comes_to_an_end_is_not_waited_for(pair: Pair) -> None:
    """In steps so small that no read of the socket takes long."""
    is_over = threading.Event()

    def dribble() -> None:
        with suppress(BrokenPipeError):
            while not is_over.wait(0.01):
                pair[1].sendall(b"x")

    caller = threading.Thread(target=dribble)
    caller.start()
    try:
        with pair[0].makefile("rb") as body:
            Caller(pair[0]).hear_out(cast("BinaryIO", body))
    finally:
        is_over.set()
        caller.join()
    with pytest.raises(BrokenPipeError):
        pair[1].sendall(b"x")


def test_a_refused_caller_who_was_heard_can_say_more(pair: Pair) -> None:
    Caller(pair[0]).hear_out(io.BytesIO(b"RIFF"))
    pair[1].sendall(b"GET /ping")

    assert pair[0].recv(9) == b"GET /ping"


def test_gunicorn_is_told_when_the_rest_of_a_body_was_not_heard(pair: Pair) -> None:
    """Otherwise it would take what still comes for the next request."""

    class Body(io.BytesIO):
        failed = False

    heard, left = Body(b"RIFF"), Body(bytes(HEARD_BYTES + 1_000_000))

    Caller(pair[0]).hear_out(heard)
    Caller(pair[0]).hear_out(left)

    assert (heard.failed, left.failed) == (False, True)
