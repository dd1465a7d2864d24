"""The parts of a response stream -> its records. SageMaker cuts a stream anywhere, even within a character."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fleet.client.errors import CannotCall, Failed

Record = dict[str, Any]
"""A JSON object of docs/http.md, "A stream"."""

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one record; the totals of four hours of speech take less than a hundredth of it."""


def records_of(parts: Iterable[bytes]) -> Iterator[Record]:
    r"""Join parts and yield each record as soon as its line has ended, heartbeats left out.

    Raises:
        Failed: The container did half way, or the stream ends before its last record.
        CannotCall: A line is no record.

    Example:
        >>> [record["type"] for record in records_of([b'{"type": "seg', b'ment"}\n{"type":"done"}\n'])]
        ['segment', 'done']
    """
    for line in _lines(parts):
        record = _record(line)
        if record["type"] == "error":
            raise Failed(f"the container failed half way: {record.get('error', 'it gives no reason')}")
        if record["type"] != "heartbeat":
            yield record
        if record["type"] == "done":
            return
    raise Failed("the stream was cut off before its last record; what came is not the whole transcript")


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise CannotCall(f"a record of the stream is above {LONGEST_LINE} bytes; this is not a transcript")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


def _record(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise Failed("a line of the stream is cut off or no JSON; the stream broke") from error
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise CannotCall("a line of the stream is no record; is this endpoint one of this project's containers?")
    return record
