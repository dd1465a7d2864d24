"""A comparison of two models as tables, and in the file it is kept in."""

from __future__ import annotations

import json

import pytest

from fleet.load.comparison import Comparison, Score, from_json, report_of, to_json
from fleet.load.errors import CannotMeasure
from tests.fleet.load.records import measured, record, summary


def comparison() -> Comparison:
    return Comparison(
        record=record(
            sides=("turbo", "parakeet"),
            words={"turbo": 12, "parakeet": 11},
            idle_cpu={},
            rooflines=(),
            upload=None,
            measured=(
                measured("turbo", "closed", summary(2.1, 480.0), callers=1),
                measured("turbo", "closed", summary(2.2, 9000.0), callers=20),
                measured("parakeet", "closed", summary(13.5, 74.0), callers=1),
                measured("parakeet", "closed", summary(40.0, 500.0, latency=None), callers=20),
            ),
        ),
        models={"turbo": "some/turbo", "parakeet": "http://127.0.0.1:8081"},
        manifest="manifest.jsonl",
        scores=(
            Score(side="turbo", language="en", measure="words", recordings=100, error_rate=0.012),
            Score(side="turbo", language=None, measure="recordings", recordings=8, error_rate=0.125),
            Score(side="parakeet", language="en", measure="words", recordings=100, error_rate=0.02),
            Score(side="parakeet", language=None, measure="recordings", recordings=8, error_rate=0.0),
        ),
    )


@pytest.mark.parametrize(
    "line",
    [
        "turbo: `some/turbo`, parakeet: `http://127.0.0.1:8081`.",
        "| 1 caller | 15 s: mean / P99 ms, requests/s |",
        "| turbo | 480 / 1,440, 2.10 |",
        "| requests/s at 1 / 20 callers | 15 s |",
        "| turbo | 2.10 · 2.20 |",
        "| parakeet | 13.50 · 40.00 |",
        "| 20 callers: mean / P50 / P95 / P99 ms | 15 s |",
        "| turbo | 9,000 / 9,000 / 18,000 / 27,000 |",
        "| parakeet | - |",
        "| error rates over `manifest.jsonl`, the language detected | en, words (100) | nothing said: got a text (8) |",
        "| parakeet | 2.0% | 0.0% |",
    ],
)
def test_tables_set_the_models_side_by_side(line: str) -> None:
    assert line in report_of(comparison())


def test_without_texts_there_is_no_table_of_errors() -> None:
    silent = Comparison(record=comparison().record, models=comparison().models)

    assert "error rates" not in report_of(silent)


def test_pictures_are_shown_where_they_lie() -> None:
    assert "](there/latency.png)" in report_of(comparison(), pictures="there/")
    assert "latency.png" not in report_of(comparison())


def test_comparison_is_read_back_as_it_was_written() -> None:
    assert from_json(to_json(comparison())) == comparison()


@pytest.mark.parametrize(("text", "fault"), [("{}", "record: field required"), ("no", "the whole: invalid json")])
def test_what_is_no_comparison_is_refused(text: str, fault: str) -> None:
    with pytest.raises(CannotMeasure, match=f"this is no comparison of models: {fault}"):
        from_json(text)


def test_fraction_is_kept_to_four_digits() -> None:
    assert json.loads(to_json(comparison()))["scores"][0]["error_rate"] == 0.012
