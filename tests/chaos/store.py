"""A store that speaks S3 and misbehaves as an object's key says: `cut/en.wav` is en.wav, cut off on the way."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tests.conftest import DATA

BUCKET = "recordings"
MANNERS = ("plain", "slow", "cut", "throttled", "flaky", "denied", "absent")
"""slow: in pieces with pauses; cut: the connection ends in the middle, and once more when the rest is asked for from
the first half; throttled: SlowDown for ever; flaky: SlowDown every other time; denied: 403; absent: 404."""

SLOW_PAUSE_S = 0.05


class Store:
    """The store; `url` is its address."""

    def __init__(self, *, seed: int) -> None:
        self.requests: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._turns: Counter[str] = Counter()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                store.answer(self)

            def do_GET(self) -> None:
                store.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer as the key says."""
        _bucket, _, key = unquote(request.path).lstrip("/").partition("/")
        manner, _, name = key.partition("?")[0].partition("/")
        file = DATA / Path(name).name
        with self._lock:
            self.requests[manner] += 1
            self._turns[key] += 1
            turn = self._turns[key]
        if manner == "throttled" or (manner == "flaky" and turn % 2):
            _refuse(request, 503, "SlowDown")
        elif manner == "denied":
            _refuse(request, 403, "AccessDenied")
        elif manner == "absent" or not file.is_file():
            _refuse(request, 404, "NoSuchKey")
        else:
            self._send(request, file.read_bytes(), manner=manner)

    def _send(self, request: BaseHTTPRequestHandler, content: bytes, *, manner: str) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.send_header("ETag", f'"{len(content)}"')
        if wanted:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        if request.command == "HEAD":
            return
        rest = content[start:]
        half = len(content) // 2
        if manner == "cut" and start < half:
            with self._lock:
                end = (
                    self._random.randrange(1, len(content)) if not start else self._random.randrange(half, len(content))
                )
            rest = rest[: end - start]
            request.close_connection = True
        step = max(1, len(rest) // 8) if manner == "slow" else len(rest)
        for at in range(0, len(rest), step):
            request.wfile.write(rest[at : at + step])
            if manner == "slow":
                time.sleep(SLOW_PAUSE_S)  # to be slow is what is asked of it


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A container that goes away in the middle is what this is about."""


def _refuse(request: BaseHTTPRequestHandler, status: int, code: str) -> None:
    content = b"" if request.command == "HEAD" else f"<Error><Code>{code}</Code></Error>".encode()
    request.send_response(status)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)


@contextmanager
def open_store(*, seed: int) -> Iterator[Store]:
    """Lend a store that answers."""
    store = Store(seed=seed)
    thread = threading.Thread(target=store.serve, name="store", daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.close()
        thread.join()
