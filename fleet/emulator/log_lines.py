"""Log lines on their way to CloudWatch Logs, where SageMaker puts what a container prints."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fleet.emulator.aws import Clients


@dataclass(frozen=True, slots=True)
class Stream:
    """A log stream."""

    region: str
    group: str
    name: str


class LogLines:
    """Lines that have not been sent yet; safe for several threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Hold none yet; `clock` tells the seconds since 1970."""
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: dict[Stream, list[dict[str, Any]]] = {}
        self._known: set[Stream] = set()

    def add(self, stream: Stream, line: str) -> None:
        """Note one line."""
        with self._lock:
            event = {"timestamp": int(self._clock() * 1000), "message": line or " "}
            self._lines.setdefault(stream, []).append(event)

    def send(self, clients: Clients) -> None:
        """Send what was noted; what cannot be sent now is kept for the next time, and holds up no other stream.

        Raises:
            botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError: Why the first of them was not sent.
        """
        with self._lock:
            streams = list(self._lines)
        failures: list[ClientError | BotoCoreError] = []
        for stream in streams:
            try:
                self._send_stream(clients.get("logs", stream.region), stream)
            except (ClientError, BotoCoreError) as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _send_stream(self, client: Any, stream: Stream) -> None:  # noqa: ANN401 - boto3's
        with self._lock:
            events = self._lines.pop(stream, [])
        try:
            self._send(client, stream, events)
        finally:
            if events:
                self._known.discard(stream)  # it may be gone, as when moto was told to forget everything
                with self._lock:
                    self._lines[stream] = events + self._lines.get(stream, [])

    def _send(self, client: Any, stream: Stream, events: list[dict[str, Any]]) -> None:  # noqa: ANN401 - boto3's
        if stream not in self._known:
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=stream.group)
            with suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(logGroupName=stream.group, logStreamName=stream.name)
            self._known.add(stream)
        # CloudWatch refuses lines that are not in the order of their times, and clocks are set back now and then.
        times = list(itertools.accumulate((event["timestamp"] for event in events), max))
        for event, timestamp in zip(events, times, strict=True):
            event["timestamp"] = timestamp
        while events:
            client.put_log_events(logGroupName=stream.group, logStreamName=stream.name, logEvents=events[:1000])
            del events[:1000]
