from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from transcriber.observability.logs import JsonFormatter


class Lines(logging.Handler):
    """Keeps the ledger's lines as the container would write them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.written: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    log = logging.getLogger("transcriber.observability.ledger")
    level, handler = log.level, Lines()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler.written
    log.removeHandler(handler)
    log.setLevel(level)
