"""One caller's connection to a server.

It runs on the cores of the server that it measures, where each millisecond that a caller takes is the server's loss:
hence llhttp, in httptools, over a plain socket. Python's own http.client took 0.3 ms longer for a request.
"""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httptools

from fleet.load.errors import CannotMeasure

ANSWER_WITHIN_S = 900
"""A ten-minute recording behind a queue of others, on the slowest of the servers."""

READ_BYTES = 64 * 1024
PORTS = {"http": 80, "https": 443}
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
        if address.scheme not in PORTS or not address.hostname:
            raise CannotMeasure(f"{url!r} is not an address; give one such as http://127.0.0.1:8080")
        self._host, self._port = address.hostname, address.port or PORTS[address.scheme]
        self._is_encrypted = address.scheme == "https"
        self._authority = address.netloc.rpartition("@")[2]
        self._base = address.path.rstrip("/")
        self._socket: socket.socket | None = None
        self._answer = _Answer()
        self._has_hung_up = False

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = WAV) -> Reply:
        """Send one request and wait for the whole answer.

        A kept connection that the server closed in the meantime is opened anew, once, as HTTP clients do.

        Raises:
            CannotMeasure: Nobody listens at the address.
        """
        if self._has_hung_up:
            return Reply(status=0, body=b"hung up")
        was_open = self._socket is not None
        try:
            return self._exchange(method, path, body, content_type)
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            is_stale = was_open and isinstance(error, ConnectionResetError | BrokenPipeError)
            if not is_stale or self._has_hung_up:
                return self._no_answer(error)
        try:
            return self._exchange(method, path, body, content_type)
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            return self._no_answer(error)

    def hang_up(self) -> None:
        """Cut the line for good; whoever waits on it in another thread gets status 0."""
        self._has_hung_up = True
        connected = self._socket
        if connected is not None:
            try:
                connected.shutdown(socket.SHUT_RDWR)  # closing it would not wake the thread that reads
            except OSError:
                return  # the other side was quicker

    def close(self) -> None:
        """Give the line back; only for the thread that asks."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, method: str, path: str, body: bytes, content_type: str) -> Reply:
        if self._socket is None:
            self._socket = self._connected()
            self._answer = _Answer()  # its parser knows what came before on the old connection
        head = f"{method} {self._base}{path} HTTP/1.1\r\nHost: {self._authority}\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        # The body goes with the head: the server would be woken for each of them.
        together = socket.MSG_MORE if body and not self._is_encrypted else 0
        self._socket.sendall(f"{head}\r\n".encode("ascii"), together)
        if body:
            self._socket.sendall(body)
        return self._reply(self._socket)

    def _connected(self) -> socket.socket:
        connected = socket.create_connection((self._host, self._port), ANSWER_WITHIN_S)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel watches the clock: Python would ask it with a poll before each call, and send in small pieces.
        connected.settimeout(None)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connected.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", ANSWER_WITHIN_S, 0))
        if not self._is_encrypted:
            return connected
        return ssl.create_default_context().wrap_socket(connected, server_hostname=self._host)

    def _reply(self, connected: socket.socket) -> Reply:
        answer = self._answer
        answer.begin()
        if not (read := connected.recv(READ_BYTES)):
            raise ConnectionResetError("the server closed the connection without an answer")
        answer.parser.feed_data(read)
        while not answer.is_whole:
            if not (read := connected.recv(READ_BYTES)):
                raise ConnectionAbortedError("the server closed the connection in the middle of its answer")
            answer.parser.feed_data(read)
        if not answer.keeps_open:
            self.close()
        return Reply(status=answer.status, body=b"".join(answer.parts))

    def _no_answer(self, error: Exception) -> Reply:
        if isinstance(error, ConnectionRefusedError):
            raise CannotMeasure(f"nobody listens at {self._host}:{self._port}") from error
        return Reply(status=0, body=(str(error) or type(error).__name__).encode())


class _Answer:
    """What the parser tells of the answer that is coming; one for all answers of a connection."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        self.parts: list[bytes] = []
        self.is_whole = self.keeps_open = False
        self.status = 0

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.is_whole = True
        self.status = self.parser.get_status_code()
        self.keeps_open = self.parser.should_keep_alive()  # it has forgotten by the time the message is behind it
