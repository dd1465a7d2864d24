"""Frames of `application/vnd.amazon.eventstream`, and the events of a response stream.

A frame is: length of all (4 bytes), length of the headers (4), CRC32 of those 8 bytes (4), headers, payload, CRC32 of
everything before (4); numbers are big-endian. Source: https://smithy.io/2.0/aws/amazon-eventstream.html.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"

STRING = 7
"""The header type of a UTF-8 string."""


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Frame one message whose headers are all strings."""
    encoded = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", 12 + len(encoded) + len(payload) + 4, len(encoded))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack(">I", zlib.crc32(message))


def payload_part(content: bytes) -> bytes:
    """Frame one `PayloadPart`."""
    return frame(
        {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}, content
    )


def model_stream_error(code: str, message: str) -> bytes:
    """Frame the event that ends a stream that the container broke; `code` as in the service model."""
    return _exception("ModelStreamError", {"ErrorCode": code, "Message": message})


def internal_stream_failure(message: str) -> bytes:
    """Frame the event that ends a stream that SageMaker itself broke."""
    return _exception("InternalStreamFailure", {"Message": message})


def recut(blocks: Iterable[bytes], *, draw: random.Random) -> Iterator[bytes]:
    """Cut what a container sent at other places, as SageMaker is free to do, and hold nothing back.

    A client that takes one part for one record works until the day it does not; here that day is every day.

    Yields:
        Pieces that are not empty and add up to the blocks.
    """
    for block in blocks:
        if len(block) > 1 and draw.random() < 0.5:
            cut = draw.randrange(1, len(block))
            yield block[:cut]
            yield block[cut:]
        elif block:
            yield block


def _header(name: str, value: str) -> bytes:
    named, valued = name.encode(), value.encode()
    return struct.pack(">B", len(named)) + named + struct.pack(">BH", STRING, len(valued)) + valued


def _exception(kind: str, document: Mapping[str, str]) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps(document).encode())
