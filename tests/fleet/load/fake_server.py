"""A server in this process that answers as the container does, or as a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TRANSCRIPT = json.dumps({"text": "eight eight zero eight", "detected_language": "en", "duration": 5.0}).encode()


@dataclass(slots=True)
class FakeServer:
    """What it answers, and what it was asked."""

    url: str
    status: int = 200
    body: bytes = TRANSCRIPT
    closes_unasked: bool = False
    bodies: list[bytes] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)
    peers: set[tuple[str, int]] = field(default_factory=set)


class Listener(ThreadingHTTPServer):
    request_queue_size = 128  # as many callers may connect at once


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer's body waits 40 ms for the caller to acknowledge its head

        def do_GET(self) -> None:
            self._answer(200, b"")

        def do_POST(self) -> None:
            fake.peers.add(self.client_address)
            fake.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            fake.content_types.append(self.headers["Content-Type"])
            self._answer(fake.status, fake.body)
            if fake.closes_unasked:
                self.close_connection = True

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    listening = Listener(("127.0.0.1", 0), Handler)
    fake = FakeServer(url=f"http://127.0.0.1:{listening.server_port}")
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
