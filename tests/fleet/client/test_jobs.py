from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Ledger, names_for
from tests.fleet.client.fakes import job


@given(st.lists(st.text(min_size=1, max_size=300), max_size=8))
def test_every_job_has_a_name_of_its_own_that_a_file_can_have(recordings: list[str]) -> None:
    names = names_for(recordings)

    assert len(set(names)) == len(recordings)
    assert all(0 < len(name.encode()) < 200 and "/" not in name and "\0" not in name for name in names)


def test_a_ledger_gives_back_what_was_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "new" / "ledger.jsonl")
    ledger.begin()
    jobs = [job("a"), job("八", failure=None)]
    for one in jobs:
        ledger.add(one)
    ledger.drop_if_empty()

    assert ledger.jobs() == jobs


def test_a_ledger_is_never_written_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin()

    with pytest.raises(Misused, match="is there already"):
        ledger.begin()


def test_an_empty_ledger_is_not_left_behind(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.begin()
    ledger.drop_if_empty()

    assert not ledger.path.exists()


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read"), ("", "has no jobs"), ("{}", "is no ledger"), ("x", "no ledger")]
)
def test_what_is_no_ledger_is_refused(content: str | None, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misused, match=sentence):
        Ledger(path).jobs()


def test_a_ledger_that_cannot_be_made_or_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Misused, match="cannot be written"):
        Ledger(tmp_path / "file" / "ledger.jsonl").begin()
    with pytest.raises(CannotCall, match="its transcript will be s3://out/a"):
        Ledger(tmp_path / "gone" / "ledger.jsonl").add(job("a"))
