from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fleet.load.errors import CannotMeasure
from fleet.load.record import from_json, roofline_from_json, to_json
from tests.fleet.load.records import record


def test_record_comes_back_as_it_was() -> None:
    assert from_json(to_json(record())) == record()


def test_fractions_are_kept_to_four_digits() -> None:
    assert json.loads(to_json(record(batch_ms=50.123456789)))["batch_ms"] == 50.1235


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "the whole: invalid json"),
        ("{}", "title: field required"),
        (to_json(record()).replace('"rounds": 2', '"rounds": "many"'), "rounds: input should be a valid integer"),
    ],
)
def test_what_is_no_record_is_said_to_be_none(text: str, fault: str) -> None:
    with pytest.raises(CannotMeasure, match=f"no record of the benchmark: {fault}"):
        from_json(text)


def test_roofline_is_read_as_its_program_writes_it() -> None:
    """What else it tells is its own affair."""
    peak = {"windows_per_s": 20.5, "batch": 4, "workers": 2, "threads": 1}
    told = {"device": {**peak, "windows_per_s": 32.0, "batch": 1}, "with_preprocessing": peak, "tried": [peak]}

    assert roofline_from_json(json.dumps(told), recording_s=15) == record().rooflines[0]
    assert roofline_from_json(json.dumps(told), recording_s=60) == replace(record().rooflines[0], recording_s=60)


@pytest.mark.parametrize("text", ["", "12 windows/s", "[]", '{"device": {}}'])
def test_roofline_that_writes_something_else_is_refused(text: str) -> None:
    with pytest.raises(CannotMeasure, match="the roofline did not write"):
        roofline_from_json(text, recording_s=15)
