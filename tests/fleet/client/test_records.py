from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.client.errors import CannotCall, Failed
from fleet.client.records import Record, records_of

RECORDS: list[Record] = [
    {"type": "heartbeat"},
    {"type": "segment", "id": 0, "start": 0.3, "end": 1.4, "text": "Guten Tag, 八零 é"},
    {"type": "heartbeat"},
    {"type": "done", "text": "Guten Tag, 八零 é", "duration": 2.0},
]
STREAM = "".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in RECORDS).encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_records_are_the_same_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parts = [STREAM[begin:end] for begin, end in itertools.pairwise(places)]

    assert list(records_of(parts)) == [RECORDS[1], RECORDS[3]]


def test_a_record_comes_as_soon_as_its_line_has_ended() -> None:
    sent: list[int] = []

    def parts() -> object:
        for number, line in enumerate(STREAM.splitlines(keepends=True)):
            sent.append(number)
            yield line

    next(records_of(parts()))  # type: ignore[arg-type] # a generator of bytes

    assert sent == [0, 1]


def test_a_stream_without_its_last_record_was_cut_off() -> None:
    with pytest.raises(Failed, match="cut off"):
        list(records_of([STREAM.splitlines(keepends=True)[1]]))


def test_an_error_in_the_stream_is_the_containers_sentence() -> None:
    with pytest.raises(Failed, match="failed half way: the model failed"):
        list(records_of([b'{"type": "error", "error": "the model failed"}\n']))


@pytest.mark.parametrize("line", [b"<html>\n", b'{"type": "segm\n', b"[1]\n", b'{"text": "plain json"}\n'])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(CannotCall, match="a line of the stream"):
        list(records_of([line]))
