"""A tiny container whose every answer a test chooses by what it sends; run as `python container.py serve`.

The body is a JSON object of commands, for example {"status": 500, "body": "...", "sleep": 1, "headers": {...}} or
{"chunked": ["a", "b"], "break_after": 1, "pause": 0.1}. {} is answered with the number of requests that there were at
once. A body that is no JSON object is answered with what the container saw.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.answer(500 if ill.is_set() else 200, b"")
        elif self.path == "/execution-parameters" and "EXECUTION_PARAMETERS" in os.environ:
            self.answer(200, os.environ["EXECUTION_PARAMETERS"].encode())
        else:
            self.answer(404, b"")

    def do_POST(self) -> None:
        chunked = self.headers.get("Transfer-Encoding") == "chunked"
        body = self.read_chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            command = json.loads(body)
        except ValueError:
            command = None
        if not isinstance(command, dict):
            seen = {"bytes": len(body), "headers": dict(self.headers), "environ": dict(os.environ)}
            self.answer(200, json.dumps({**seen, "chunked": chunked}).encode(), {"Content-Type": "application/json"})
            return
        with lock:
            crowd.append(crowd[-1] + 1)
        self.obey(command)
        with lock:
            crowd.append(crowd[-1] - 1)

    def obey(self, command: dict[str, Any]) -> None:
        if command.get("ill"):
            ill.set()
        if command.get("die"):
            os._exit(7)
        time.sleep(command.get("sleep", 0))  # how slow the container is to be, told by the test
        headers = command.get("headers", {})
        if "chunked" not in command:
            self.answer(command.get("status", 200), command.get("body", str(max(crowd))).encode(), headers)
            return
        self.send_response(command.get("status", 200))
        for name, value in {"Transfer-Encoding": "chunked", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for number, part in enumerate(command["chunked"]):
            if number == command.get("break_after"):
                self.close_connection = True
                return
            self.wfile.write(f"{len(part.encode()):x}\r\n".encode() + part.encode() + b"\r\n")
            self.wfile.flush()
            time.sleep(command.get("pause", 0))  # likewise, between two parts
        self.wfile.write(b"0\r\n\r\n")

    def read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        sys.stdout.write(f"{arguments}\n")
        sys.stdout.flush()


ill = threading.Event()
lock = threading.Lock()
crowd = [0]


def main() -> None:
    if "FAIL_AT_START" in os.environ:
        sys.exit("the weights are missing")
    if os.environ.get("IGNORE_SIGTERM"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.serve_forever()


if __name__ == "__main__":
    main()
