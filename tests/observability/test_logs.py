from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from transcriber.observability import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    logs.configure("INFO", written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_record_is_one_line_of_json_with_its_fields(stream: io.StringIO) -> None:
    token = logs.request_id.set("abc")
    logging.getLogger("x").info("request done", extra={"audio_s": 1.5, "text": "two\nlines"})
    logs.request_id.reset(token)
    lines = stream.getvalue().splitlines()

    assert len(lines) == 1
    line = json.loads(lines[0])
    assert (line["event"], line["audio_s"], line["request_id"]) == ("request done", 1.5, "abc")
    assert line["time"].endswith("+00:00")


def test_a_failure_carries_its_stack_in_the_same_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("x").exception("batch failed")

    line = json.loads(stream.getvalue())
    assert "ValueError: why" in line["stack"]


def test_what_json_cannot_hold_is_written_as_text(stream: io.StringIO) -> None:
    logging.getLogger("x").info("odd", extra={"thing": {1, 2}.__class__})

    assert "set" in json.loads(stream.getvalue())["thing"]
