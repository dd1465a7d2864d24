"""What docs/ offers to look at the numbers with asks for numbers that exist."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.observability.test_metrics import MODEL_LABELS, exposed, families, filled
from transcriber.observability import emf
from transcriber.observability.metrics import LABELS

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
SCRAPED = {"job", "instance", "le"}
"""Labels that the scraper and histograms add."""

ALARMS = (ROOT / "docs" / "cloudwatch-alarms.md").read_text("utf-8")
COMMANDS = re.findall(r"aws cloudwatch put-metric-alarm (.*?)\n```", ALARMS, flags=re.DOTALL)

# https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html and async-inference-monitor.html: the
# metrics that the alarms use, with their dimensions.
VARIANT = {"EndpointName", "VariantName"}
SAGEMAKER = {
    "Invocation5XXErrors": VARIANT,
    "ModelLatency": VARIANT,
    "MidStreamErrors": VARIANT,
    "ApproximateAgeOfOldestRequest": {"EndpointName"},
    "InvocationFailures": VARIANT,
}


def samples() -> set[str]:
    return {one.name for family in families(filled()).values() for one in family.samples}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_names_metrics_that_exist(expression: str) -> None:
    named = set(re.findall(r"\b(?:stt|process)_\w+", expression))

    assert named
    assert named <= samples()
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_names_labels_that_exist(expression: str) -> None:
    selected = re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression)
    grouped = [name for names in re.findall(r"\bby \(([\w, ]+)\)", expression) for name in names.split(", ")]

    assert {*selected, *grouped} <= {*LABELS, *MODEL_LABELS, *SCRAPED}
    for outcomes in re.findall(r"outcome=~\"([\w|]+)\"", expression):
        assert set(outcomes.split("|")) <= LABELS["outcome"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_counters_are_looked_at_as_rates_and_gauges_are_not(expression: str) -> None:
    for family in families(filled()).values():
        for counted in re.findall(rf"\b(\w+)\({exposed(family)}(?:_bucket|_sum|_count)?\b", expression):
            is_rated = counted in {"rate", "increase"}
            assert is_rated == (family.type in {"counter", "histogram"}), (family.name, counted)


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    asked = " ".join(EXPRESSIONS)

    assert not {name for name in map(exposed, families(filled()).values()) if name not in asked}


def test_panels_have_numbers_and_places_of_their_own() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    cells = [
        (column, line)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for line in range(place["y"], place["y"] + place["h"])
    ]

    assert len(set(numbers)) == len(numbers)
    assert len(set(cells)) == len(cells)
    assert all(column < 24 for column, _line in cells)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_alarm_is_on_a_metric_that_exists(command: str) -> None:
    options = dict(re.findall(r"--([a-z-]+) (.+?)(?= --| \\|$)", command, flags=re.MULTILINE))
    name = options["metric-name"]

    if options["namespace"] == "AWS/SageMaker":
        assert set(re.findall(r"Name=(\w+)", options["dimensions"])) == SAGEMAKER[name]
    else:
        assert options["namespace"] == '"$EMF_NAMESPACE"'
        assert name in {**emf.units_of("ok"), **emf.START_UNITS}
        assert "dimensions" not in options
    assert {"period", "evaluation-periods", "threshold", "comparison-operator", "treat-missing-data"} <= set(options)
    assert ("statistic" in options) != ("extended-statistic" in options)


def test_alarms_are_there_for_both_kinds_of_metrics() -> None:
    assert sum("AWS/SageMaker" in command for command in COMMANDS) == 5
    assert sum("EMF_NAMESPACE" in command for command in COMMANDS) == 5
