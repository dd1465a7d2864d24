"""The connection that a request came over: whether its body keeps coming, and whether anybody still waits."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from transcriber.errors import CallerGone, MalformedRequest

HEARD_BYTES = 32 * 1024 * 1024
"""How much of a refused body is read and thrown away: a caller who is still sending when the connection closes sees a
broken pipe instead of the answer. 25 MB is the largest body of a real-time endpoint."""

HEARD_WITHIN_S = 1.0
"""How long that may take, and how long nothing may come meanwhile of one who is refused alone."""

BLOCK_BYTES = 64 * 1024
"""How much is read at a time; less than that counts as nothing."""


class Patience:
    """The silence that refused callers share: the threads that hear them out are few."""

    def __init__(self) -> None:
        """Nobody is heard yet."""
        self._lock = threading.Lock()
        self._heard = 0

    @contextmanager
    def share(self) -> Iterator[float]:
        """Lend the seconds for one caller: the more are heard at the moment, the fewer."""
        with self._lock:
            self._heard += 1
            within_s = HEARD_WITHIN_S / self._heard
        try:
            yield within_s
        finally:
            with self._lock:
                self._heard -= 1


_patience = Patience()


class Caller:
    """Whoever sent the request."""

    def __init__(self, connection: socket.socket | None) -> None:
        """Store the connection; None where there is none to be seen: such a caller neither dawdles nor leaves."""
        self._connection = connection

    @contextmanager
    def sends_on(self, *, within_s: float) -> Iterator[None]:
        """Read a body in the block only as long as it keeps coming: who waits for it holds a place among the requests.

        Args:
            within_s: How long nothing may come, in seconds.

        Raises:
            MalformedRequest: Nothing came for so long.
            CallerGone: The connection was broken off.
        """
        connection = self._connection
        if connection is None:
            yield
            return
        # The kernel keeps the time: for a timeout of Python's each read would ask first, and give the interpreter away
        # once more.
        _limit_silence(connection, within_s)
        try:
            yield
        except BlockingIOError as error:
            raise MalformedRequest(
                f"nothing more of the body came for {within_s:,.10g} seconds; send it without pauses, and as much as "
                "Content-Length says"
            ) from error
        except ConnectionError as error:
            raise CallerGone("the caller broke the connection off in the middle of the body") from error
        finally:
            _limit_silence(connection, 0)

    def hear_out(self, body: BinaryIO) -> None:
        """Read the rest of a refused body, up to a limit in bytes and in time; after that nobody can read on.

        Args:
            body: Where it comes from. If it is gunicorn's own and the rest is not heard, it is marked as failed, so
                that gunicorn takes nothing that still comes for the next request.

        Raises:
            OSError: The caller has gone.
        """
        left = HEARD_BYTES
        is_over, is_given_up = threading.Event(), threading.Event()

        def watch(silence_s: float) -> None:
            """End it from outside, since a read waits for all that it was asked for, however slowly that comes."""
            ends_s = time.monotonic() + HEARD_WITHIN_S
            before = None
            while left != before and time.monotonic() < ends_s:
                before = left
                if is_over.wait(silence_s):
                    return
            is_given_up.set()
            self._stop_reading()

        with _patience.share() as silence_s:
            watching = threading.Thread(target=watch, args=[silence_s], name="patience", daemon=True)
            watching.start()
            try:
                while left > 0 and not is_given_up.is_set() and (block := body.read(min(left, BLOCK_BYTES))):
                    left -= len(block)
            finally:
                is_over.set()
                watching.join()
        if left <= 0:
            self._stop_reading()
        if (left <= 0 or is_given_up.is_set()) and hasattr(body, "failed"):
            body.failed = True

    def _stop_reading(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RD)

    def has_left(self) -> bool:
        """Tell whether the caller has closed the connection; one who sends the next request already has not."""
        if self._connection is None:
            return False
        try:
            return not self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _limit_silence(connection: socket.socket, seconds: float) -> None:
    """Let a read that waits longer fail; 0 lets it wait."""
    whole, fraction = divmod(seconds, 1)
    limit = struct.pack("ll", int(whole), int(fraction * 1e6))
    with suppress(OSError):  # who has gone is found out by the read
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
