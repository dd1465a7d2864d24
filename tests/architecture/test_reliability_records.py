"""What docs/reliability.md says was counted is what the programs' records say."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT

RECORDS = sorted((ROOT / "docs" / "reliability").glob("*.json"))
PAGE = (ROOT / "docs" / "reliability.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["fuzz-audio", "fuzz-http", "chaos", "soak"])
def test_the_page_has_the_numbers_of_the_record(name: str) -> None:
    record = json.loads((ROOT / "docs" / "reliability" / f"{name}.json").read_text("utf-8"))
    counts = [record["requests"]] if "requests" in record else [record[part]["files"] for part in ("decoded", "served")]

    assert counts
    for count in counts:
        assert f"| {count:,} " in PAGE


def test_no_other_record_lies_there() -> None:
    assert [path.stem for path in RECORDS] == ["chaos", "fuzz-audio", "fuzz-http", "soak"]
