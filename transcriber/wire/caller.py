"""The connection that a request came over: whether its body keeps coming, and whether anybody still waits."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from transcriber.errors import CallerGone, MalformedRequest

HEARD_BYTES = 32 * 1024 * 1024
"""How much of a refused body is read and thrown away: a caller who is still sending when the connection closes sees a
broken pipe instead of the answer. 25 MB is the largest body of a real-time endpoint."""

HEARD_WITHIN_S = 1.0
"""How long that may take: the thread that refuses is one of the few that /ping counts on."""


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
        if self._connection is None:
            yield
            return
        self._connection.settimeout(within_s)
        try:
            yield
        except TimeoutError as error:
            raise MalformedRequest(
                f"nothing more of the body came for {within_s:,.10g} seconds; send it without pauses, and as much as "
                "Content-Length says"
            ) from error
        except ConnectionError as error:
            raise CallerGone("the caller broke the connection off in the middle of the body") from error
        finally:
            self._connection.settimeout(None)

    def hear_out(self, body: BinaryIO) -> None:
        """Read the rest of a refused body, up to a limit in bytes and in time.

        Raises:
            OSError: The caller has gone, or is too slow.
        """
        ends_s = time.monotonic() + HEARD_WITHIN_S
        left = HEARD_BYTES
        try:
            if self._connection is not None:
                self._connection.settimeout(HEARD_WITHIN_S)
            while left > 0 and time.monotonic() < ends_s and (block := body.read(min(left, 256 * 1024))):
                left -= len(block)
        finally:
            if self._connection is not None:
                self._connection.settimeout(None)

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
