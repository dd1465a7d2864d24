"""The web server: one process, because the model exists once; one thread for each request that may be in flight.

A thread is held for as long as its request waits for the model. SageMaker replaces an instance whose /ping takes longer
than 2 seconds, so /ping waits for no thread: the one that takes connections answers it.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fcntl import ioctl
from functools import partial
from selectors import EVENT_READ
from socket import MSG_DONTWAIT, MSG_MORE, MSG_PEEK, SHUT_RD, SO_RCVLOWAT, SO_SNDBUF, SO_SNDTIMEO, SOL_SOCKET, socket
from termios import TIOCOUTQ
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import message, wsgi
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker
from typing_extensions import Buffer

from transcriber import settings as environment

SPARE_THREADS = 8
"""Threads that no transcription can take: for answering 503 to what is not admitted, and whatever else is not /ping."""

LAST_WORDS_S = 3
"""How long before the end of `graceful_timeout` requests that still wait for the model are told so, with 503."""

PING_BEGINS = b"GET /ping "
BODY_HEADERS = (b"\ncontent-length", b"\ntransfer-encoding")
HEAD_ENDS = b"\r\n\r\n"
MOST_HEAD_BYTES = 64 * 1024
"""More than SageMaker and any honest caller sends before the body. A head that goes on after that is not waited for."""

MOST_UNTAKEN_BYTES = 64 * 1024
"""What may be under way of earlier answers when the next request comes: of one who asks on and on and takes no answer,
each would hold a thread."""

SEND_BUFFER_BYTES = 2 * MOST_UNTAKEN_BYTES
"""So much of the answers can be on its way without a thread that waits: that much and any but a long transcript."""

BODY_BLOCK_BYTES = 256 * 1024
"""As much as the spool asks for at a time. gunicorn takes up to 1 MiB from the socket and copies what is left for each
block that it hands on: twice the work for a body of 2 MB."""

SILENT_S = 2
"""How long after SIGTERM a connection on which nobody has said anything may stay; gunicorn's own number for those that
are kept alive."""


class ErrorLogger(Logger):
    """gunicorn's log without a line for each request: our own says more, and this one would be written for nobody."""

    @property
    def access_log_enabled(self) -> bool:
        """Say no; gunicorn says yes to whoever configures its logs."""
        return False


class DirectBody(Body):
    """gunicorn's body, which can be read right into a buffer too: each byte is copied three times on its other way."""

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer with what there is, or wait for some; return how many bytes it was, 0 at the end."""
        room = memoryview(buffer)
        reader: Any = self.reader
        is_counted = isinstance(reader, LengthReader)
        held = len(self.buf.getvalue()) + (len(reader.unreader.buf.getvalue()) if is_counted else 0)
        if held or not is_counted:
            block = self.read(min(len(room), held or BODY_BLOCK_BYTES))
            room[: len(block)] = block
            return len(block)
        try:
            filled: int = reader.unreader.sock.recv_into(room[: reader.length])
        except OSError:
            self.failed = True
            raise
        reader.length -= filled
        return filled


class WholeResponse(wsgi.Response):
    """gunicorn's answer, whose head goes out with the body: the caller would be woken for each of them."""

    def send_headers(self) -> None:
        """Send the head, or let it wait for the body that is about to be sent."""
        if self.headers_sent:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        has_body = self.response_length and not self._omits_body  # type: ignore[attr-defined] # the stubs are older
        self.sock.sendall("".join(lines).encode("latin-1"), MSG_MORE if has_body else 0)
        self.headers_sent = True


class PatientWorker(ThreadWorker):
    """gunicorn's worker with threads, for callers who come long before they speak, and for an end without losses."""

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Start all threads at once: a machine that has no room for them says so now, not in the middle of a flood."""
        pool: ThreadPoolExecutor = super().get_thread_pool()
        all_there = threading.Barrier(self.cfg.threads)
        try:
            for _ in range(self.cfg.threads):
                pool.submit(all_there.wait)
        except RuntimeError:
            all_there.abort()
            raise
        return pool

    def enqueue_req(self, conn: TConn) -> None:
        """Give a connection a thread once the whole head of a request is there.

        gunicorn lets a thread wait for it, 5 seconds for the first byte and without end for the others: a few dozen
        callers who say nothing, or half a head, would hold up /ping.
        """
        conn.sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES)
        conn.sock.setsockopt(SOL_SOCKET, SO_SNDTIMEO, _answer_stall)
        head = _head_of(conn)
        if head is not None:
            self._serve(conn, head)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: TConn, client: socket) -> None:
        """Look whether a new connection has a whole head now."""
        head = _head_of(conn)
        if head is not None:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._serve(conn, head)

    def on_client_socket_readable(self, conn: TConn, client: socket) -> None:
        """Look whether a connection that has had an answer has another whole head."""
        head = _head_of(conn)
        if head is not None:
            self.poller.unregister(client)
            self.keepalived_conns.remove(conn)
            self._serve(conn, head)

    def _serve(self, conn: TConn, head: bytes) -> None:
        """Answer /ping here and now, which waits for nothing; give any other request a thread."""
        if _untaken_bytes(conn.sock) > MOST_UNTAKEN_BYTES:
            self.nr_conns -= 1
            conn.close()
            return
        conn.data_ready = True
        if _is_ping(head):
            answered: Future[Any] = Future()
            answered.set_result(self.handle(conn))
            self.finish_request(conn, answered)
        else:
            super().enqueue_req(conn)

    def notify(self) -> None:
        """Leave out the sign of life at each event, since nobody looks for it where `timeout` is 0."""

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:  # noqa: FBT001 - gunicorn's signature
        """Look for a rest of the body only where there may be one: three calls into the kernel for each request."""
        parser: Any = conn.parser
        body = parser.mesg.body
        is_read = getattr(body.reader, "length", None) == 0 and not body.buf.tell() and not body.failed
        if not (keepalive and is_read):
            return bool(super()._keepalive_after(conn, keepalive))  # type: ignore[misc] # the stubs are older
        parser.mesg = None  # or the parser would look as well, before the next request
        return True

    def set_accept_enabled(self, enabled: bool | None) -> None:  # noqa: FBT001 - gunicorn's signature
        """Accept connections or do not; after SIGTERM, never again.

        gunicorn leaves its socket listening until the last request has ended: whoever connects meanwhile would wait for
        that long and then be cut off, instead of being refused at once and going elsewhere.
        """
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            taken = -1
            while taken != self.nr_conns:  # those whom the kernel has let in already
                taken = self.nr_conns
                self.accept(listener)
            listener.close()
        silent_until_s = time.monotonic() + SILENT_S
        for conn in self.pending_conns:
            conn.timeout = silent_until_s
        last_words = threading.Timer(self.cfg.graceful_timeout - LAST_WORDS_S, _close, [self])
        last_words.daemon = True
        last_words.start()


def _head_of(conn: TConn) -> bytes | None:
    """Return what has come, once a thread would not have to wait for more of the head; None until then.

    The socket is readable again only with more bytes.
    """
    parser: Any = conn.parser  # HTTP/1's; it may have read on beyond the last body
    read: bytes = parser.unreader.buf.getvalue() if parser else b""
    awaited = conn.sock.getsockopt(SOL_SOCKET, SO_RCVLOWAT)
    try:
        seen = conn.sock.recv(MOST_HEAD_BYTES, MSG_PEEK | MSG_DONTWAIT)
        has_ended = len(seen) < awaited
    except BlockingIOError:
        seen, has_ended = b"", False
    except OSError:  # it was broken off, which the thread will find too
        return read
    is_there = has_ended or HEAD_ENDS in read + seen
    if not is_there and len(seen) == MOST_HEAD_BYTES:
        with suppress(OSError):  # it may have been broken off just now
            conn.sock.shutdown(SHUT_RD)  # the thread reads what has come, and waits for nothing
        is_there = True
    wanted = 1 if is_there else len(seen) + 1
    if wanted != awaited:
        conn.sock.setsockopt(SOL_SOCKET, SO_RCVLOWAT, wanted)
    return read + seen if is_there else None


def _is_ping(head: bytes) -> bool:
    """Tell whether all that has come is a /ping, such that nothing of it is still to come."""
    is_whole = head.startswith(PING_BEGINS) and head.find(HEAD_ENDS) == len(head) - len(HEAD_ENDS)
    return is_whole and not any(name in head.lower() for name in BODY_HEADERS)


def _untaken_bytes(client: socket) -> int:
    """Return what has been written and has not arrived."""
    (count,) = struct.unpack("i", ioctl(client, TIOCOUTQ, bytes(4)))
    return int(count)


def _as_timeval(seconds: float) -> bytes:
    """Return what SO_SNDTIMEO takes."""
    fraction, whole = math.modf(seconds)
    return struct.pack("ll", int(whole), int(fraction * 1e6))


def _is_of_ours(record: logging.LogRecord) -> bool:
    """Tell gunicorn's failures from a caller who takes no more of an answer, whose own line says so already."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))


message.Body = DirectBody  # type: ignore[attr-defined] # where gunicorn looks for it
wsgi.Response = WholeResponse  # type: ignore[misc] # so, too
SocketUnreader.max_body_chunk = BODY_BLOCK_BYTES  # type: ignore[attr-defined] # the stubs are of an earlier version

_settings = environment.load()
_answer_stall = _as_timeval(_settings.answer_stall_seconds)

bind = f"0.0.0.0:{_settings.bind_port}"
workers = 1
worker_class = PatientWorker
logger_class = ErrorLogger
threads = _settings.max_requests_in_flight + SPARE_THREADS
timeout = 0  # a request may take an hour; its own deadline ends it
graceful_timeout = 25  # SageMaker sends SIGKILL 30 s after SIGTERM
keepalive = 75
limit_request_line = 2048  # bytes; our paths have less than twenty
limit_request_fields = 64  # SageMaker sends about a dozen
limit_request_field_size = 8190  # bytes; the longest that we read has 1,024 characters
worker_tmp_dir = "/tmp"  # noqa: S108 - the only place that surely can be written
control_socket_disable = True
wsgi_app = "app:create()"
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"ours": {"()": lambda: _is_of_ours}},
    "formatters": {"json": {"()": "transcriber.observability.logs.JsonFormatter"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
    "root": {"level": _settings.log_level, "handlers": ["stdout"]},
    "loggers": {
        "gunicorn.error": {
            "level": _settings.log_level,
            "handlers": ["stdout"],
            "filters": ["ours"],
            "propagate": False,
        },
    },
}


def worker_exit(_server: object, worker: Worker) -> None:
    """Give the device back when the worker ends."""
    _close(worker)


def _close(worker: Worker) -> None:
    application: Any = getattr(worker, "wsgi", None)
    if application is not None:
        application.extensions["service"].close()
