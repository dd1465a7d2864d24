"""The lines are what CloudWatch's specification of the embedded metric format asks for."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from tests.conftest import ROOT
from transcriber.observability import emf
from transcriber.observability.accounts import OUTCOMES

# The specification's rules, in the words of JSON schema (the page that emf.py names, sections Root node to Target
# members); units as in MetricDatum.
NAME = {"type": "string", "minLength": 1, "maxLength": 1024}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "additionalProperties": False,
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1_500_000_000_000},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "additionalProperties": False,
                        "properties": {
                            "Namespace": {**NAME, "maxLength": 255},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "maxItems": 30, "items": {**NAME, "maxLength": 250}},
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "additionalProperties": False,
                                    "properties": {
                                        "Name": NAME,
                                        "Unit": {"enum": ["Seconds", "Bytes", "Percent", "Count", "None"]},
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def check_embedded(line: dict[str, Any]) -> set[str]:
    """Fail unless CloudWatch would take the line; return the names of its metrics."""
    jsonschema.validate(line, SCHEMA)
    names: set[str] = set()
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for dimension in (name for dimensions in directive["Dimensions"] for name in dimensions):
            assert isinstance(line[dimension], str)
        for metric in directive["Metrics"]:
            value = line[metric["Name"]]
            assert isinstance(value, int | float), metric
            assert not isinstance(value, bool), metric
            names.add(metric["Name"])
    return names


@pytest.mark.parametrize("outcome", sorted(OUTCOMES))
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_request_is_counted_as_one_thing(outcome: str, is_ours: bool) -> None:
    counts = emf.counts(outcome, is_ours=is_ours)

    assert tuple(counts) == emf.COUNTS
    assert counts.pop("requests") == 1
    assert sorted(counts.values()) == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("outcome", "is_ours", "end"),
    [
        ("ok", False, "answered"),
        ("client_gone", False, "abandoned"),
        ("busy", True, "shed"),
        ("not_audio", False, "refused"),
        ("device_fault", True, "failed"),
    ],
)
def test_a_request_is_counted_as_what_it_was(outcome: str, is_ours: bool, end: str) -> None:
    assert emf.counts(outcome, is_ours=is_ours)[end] == 1


def test_only_answers_have_their_times_counted() -> None:
    assert "total_s" in emf.units_of("ok")
    assert "total_s" not in emf.units_of("busy")


def test_the_specification_is_met_by_what_it_asks_for_and_not_by_less() -> None:
    line: dict[str, Any] = {"total_s": 1.0, "_aws": emf.metadata({"total_s": "Seconds"}, namespace="A/b", now_s=1.7e9)}

    assert check_embedded(line) == {"total_s"}
    del line["_aws"]["Timestamp"]
    with pytest.raises(jsonschema.ValidationError):
        check_embedded(line)


def test_the_page_lists_the_metrics_and_no_others() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8").partition("## CloudWatch")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", page, flags=re.MULTILINE))

    assert rows == {**emf.units_of("ok"), **emf.START_UNITS}
