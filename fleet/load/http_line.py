"""One caller's connection to a server."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from fleet.load.errors import CannotMeasure

ANSWER_WITHIN_S = 900.0
"""A ten-minute recording behind a queue of others, on the slowest of the servers."""

WAV = "audio/wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A status and a body; status 0 when there was no answer, and then the body says why."""

    status: int
    body: bytes


class Line(Protocol):
    """One caller's way to the server."""

    def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one request and wait for the whole answer.

        Raises:
            CannotMeasure: Nobody listens at the address.
        """
        ...

    def hang_up(self) -> None:
        """Cut the line for good; whoever waits on it in another thread gets status 0."""
        ...

    def close(self) -> None:
        """Give the line back; only for the thread that asks."""
        ...


class HttpLine:
    """A connection that is kept between requests."""

    def __init__(self, url: str) -> None:
        """Store the address; the first request connects.

        Raises:
            CannotMeasure: It is no address.
        """
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise CannotMeasure(f"{url!r} is not an address; give one such as http://127.0.0.1:8080")
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(address.hostname, address.port, timeout=ANSWER_WITHIN_S)
        self._base = address.path.rstrip("/")
        self._has_hung_up = False

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = WAV) -> Reply:
        """Send one request and wait for the whole answer.

        A kept connection that the server closed in the meantime is opened anew, once, as HTTP clients do.

        Raises:
            CannotMeasure: Nobody listens at the address.
        """
        if self._has_hung_up:
            return Reply(status=0, body=b"hung up")
        was_open = self._connection.sock is not None
        try:
            return self._exchange(method, path, body, content_type)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            is_stale = was_open and isinstance(error, ConnectionResetError | BrokenPipeError)
            if not is_stale or self._has_hung_up:
                return self._no_answer(error)
        try:
            return self._exchange(method, path, body, content_type)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return self._no_answer(error)

    def hang_up(self) -> None:
        """Cut the line for good; whoever waits on it in another thread gets status 0."""
        self._has_hung_up = True
        connected: socket.socket | None = self._connection.sock
        if connected is not None:
            try:
                connected.shutdown(socket.SHUT_RDWR)  # closing it would not wake the thread that reads
            except OSError:
                return  # the other side was quicker

    def close(self) -> None:
        """Give the line back; only for the thread that asks."""
        self._connection.close()

    def _exchange(self, method: str, path: str, body: bytes, content_type: str) -> Reply:
        headers = {"Content-Type": content_type} if body else {}
        self._connection.request(method, self._base + path, body or None, headers)
        answer = self._connection.getresponse()
        return Reply(status=answer.status, body=answer.read())

    def _no_answer(self, error: Exception) -> Reply:
        if isinstance(error, ConnectionRefusedError):
            raise CannotMeasure(f"nobody listens at {self._connection.host}:{self._connection.port}") from error
        return Reply(status=0, body=(str(error) or type(error).__name__).encode())
