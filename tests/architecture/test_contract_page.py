"""docs/contract.md names tests that there are."""

from __future__ import annotations

import ast
import json
import re
from functools import cache

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "contract.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 4]


@cache
def names_in(path: str) -> frozenset[str]:
    module = ast.parse((ROOT / "tests" / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_every_proof_is_a_test(path: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in names_in(path)


def test_every_point_has_a_proof() -> None:
    points = [row for row in ROWS if not row.startswith("| SageMaker |")]

    assert len(points) > 30
    for point in points:
        assert "::test_" in point, point


def test_figures_are_those_that_were_saved() -> None:
    saved = json.loads((ROOT / "docs" / "benchmarks" / "big-input.json").read_text("utf-8"))
    section = PAGE.split("## The largest input")[1].replace(",", "")
    shown = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", section)}

    assert {value for value in saved.values() if isinstance(value, int | float)} <= shown
