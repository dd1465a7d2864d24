from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.client import load_file
from fleet.client.errors import CannotCall, Misused
from fleet.client.load_record import Interval, JobRecord, quantile
from tests.fleet.client.records import record


def test_intervals_are_half_minutes_with_what_ended_within() -> None:
    assert record().intervals() == [
        Interval(from_s=0.0, to_s=5.0, instances=1, backlog=3, done=2, failed=1),
        Interval(from_s=5.0, to_s=10.0, instances=2, backlog=2, done=1, failed=0),
        Interval(from_s=10.0, to_s=15.0, instances=2, backlog=0, done=2, failed=0),
    ]


@given(st.lists(st.tuples(st.floats(0, 50), st.one_of(st.none(), st.floats(0, 500)), st.booleans()), min_size=1))
def test_every_job_ends_in_one_interval_or_is_left_in_the_last_backlog(
    jobs: list[tuple[float, float | None, bool]],
) -> None:
    measured = record(
        jobs=tuple(
            JobRecord(name=str(number), audio_s=None, submitted_s=begun, took_s=took, failure="x" if bad else "")
            for number, (begun, took, bad) in enumerate(jobs)
        )
    )
    intervals = measured.intervals()
    ended = sum(one.done + one.failed for one in intervals)

    assert ended == sum(took is not None for _, took, _ in jobs)
    assert all(one.backlog >= 0 for one in intervals)


def test_a_job_that_never_ended_stays_in_the_backlog_to_the_last_sample() -> None:
    jobs = record().jobs
    measured = record(jobs=(*jobs[:3], replace(jobs[3], took_s=None)))

    assert (measured.until_s, measured.backlog(100.0)) == (10.0, 1)


def test_times_are_those_of_transcripts() -> None:
    assert record().times_s == [2.0, 5.0, 5.5, 12.0, 14.0]


@given(st.lists(st.integers(), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_not_exceeded_by_its_share(values: list[int], share: float) -> None:
    found = quantile(sorted(values), share)

    assert sum(value <= found for value in values) >= share * len(values)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    load_file.write(record(), tmp_path / "new" / "record.json")

    assert load_file.read(tmp_path / "new" / "record.json") == record()


@pytest.mark.parametrize("content", [None, "x", "{}", "[]", '{"jobs": [], "samples": [], "metrics": {}}'])
def test_what_is_no_record_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misused, match=r"cannot be read|is no record"):
        load_file.read(path)


def test_a_record_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotCall, match="cannot be written"):
        load_file.write(record(), tmp_path / "file" / "record.json")
