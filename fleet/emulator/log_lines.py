"""Log lines on their way to CloudWatch Logs, where SageMaker puts what a container prints."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fleet.emulator.aws import Clients


@dataclass(frozen=True, slots=True)
class Stream:
    """A log stream."""

    region: str
    group: str
    name: str


class LogLines:
    """Lines that have not been sent yet; safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[Stream, list[dict[str, Any]]] = {}
        self._known: set[Stream] = set()

    def add(self, stream: Stream, line: str) -> None:
        """Note one line."""
        with self._lock:
            self._lines.setdefault(stream, []).append({"timestamp": int(time.time() * 1000), "message": line or " "})

    def send(self, clients: Clients) -> None:
        """Send what was noted; what cannot be sent now is kept for the next time."""
        with self._lock:
            lines, self._lines = self._lines, {}
        try:
            for stream in list(lines):
                self._send(clients.get("logs", stream.region), stream, lines[stream])
                del lines[stream]
        finally:
            with self._lock:
                for stream, events in lines.items():
                    self._lines[stream] = events + self._lines.get(stream, [])

    def _send(self, client: Any, stream: Stream, events: list[dict[str, Any]]) -> None:  # noqa: ANN401 - boto3's
        if stream not in self._known:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=stream.group)
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=stream.group, logStreamName=stream.name)
            self._known.add(stream)
        while events:
            client.put_log_events(logGroupName=stream.group, logStreamName=stream.name, logEvents=events[:1000])
            del events[:1000]
