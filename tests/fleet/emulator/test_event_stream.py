"""What we frame, botocore's own decoder reads."""

from __future__ import annotations

import json
import random

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from fleet.emulator.event_stream import (
    frame,
    internal_stream_failure,
    model_stream_error,
    payload_part,
    recut,
)

NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=20)


def decoded(content: bytes, step: int) -> list[tuple[dict[str, str], bytes]]:
    buffer = EventStreamBuffer()
    found = []
    for start in range(0, len(content), step):
        buffer.add_data(content[start : start + step])
        found += [(event.headers, event.payload) for event in buffer]
    return found


@given(st.dictionaries(NAMES, st.text(max_size=50), max_size=5), st.binary(max_size=300), st.integers(1, 64))
def test_frames_are_read_back_wherever_the_network_cuts_them(headers: dict[str, str], body: bytes, step: int) -> None:
    assert decoded(frame(headers, body) * 2, step) == [(headers, body)] * 2


@given(st.binary(max_size=300))
def test_part_is_an_event_whose_payload_is_the_bytes(body: bytes) -> None:
    ((headers, payload),) = decoded(payload_part(body), 4096)

    assert payload == body
    assert (headers[":message-type"], headers[":event-type"]) == ("event", "PayloadPart")


def test_errors_are_exceptions_of_the_service_model() -> None:
    broken, failed = decoded(model_stream_error("StreamBroken", "gone") + internal_stream_failure("sorry"), 4096)

    assert (broken[0][":message-type"], broken[0][":exception-type"]) == ("exception", "ModelStreamError")
    assert json.loads(broken[1]) == {"ErrorCode": "StreamBroken", "Message": "gone"}
    assert failed[0][":exception-type"] == "InternalStreamFailure"


@given(st.lists(st.binary(max_size=20), max_size=20), st.integers())
def test_cutting_elsewhere_loses_nothing_and_leaves_nothing_empty(blocks: list[bytes], seed: int) -> None:
    parts = list(recut(blocks, draw=random.Random(seed)))

    assert b"".join(parts) == b"".join(blocks)
    assert all(parts)


def test_nothing_is_held_back() -> None:
    blocks = iter([b"a", b"b"])

    parts = recut(blocks, draw=random.Random(1))

    assert next(parts) == b"a"
    assert next(blocks) == b"b"
