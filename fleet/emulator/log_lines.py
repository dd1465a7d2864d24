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
        """Send what was noted."""
        with self._lock:
            lines, self._lines = self._lines, {}
        for stream, events in lines.items():
            client = clients.get("logs", stream.region)
            if stream not in self._known:
                with suppress(client.exceptions.ResourceAlreadyExistsException):
                    client.create_log_group(logGroupName=stream.group)
                with suppress(client.exceptions.ResourceAlreadyExistsException):
                    client.create_log_stream(logGroupName=stream.group, logStreamName=stream.name)
                self._known.add(stream)
            for start in range(0, len(events), 1000):
                client.put_log_events(
                    logGroupName=stream.group, logStreamName=stream.name, logEvents=events[start : start + 1000]
                )
