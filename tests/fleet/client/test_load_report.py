from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from fleet.client import load_plot
from fleet.client.errors import Misused
from fleet.client.load_report import report
from tests.fleet.client.records import record

REPORT = """\
Six jobs: 6 jobs in 0:14, 1 of them failed; 150 s of audio, 10.7 s in each second

Every 5 s
until  instances  backlog  done  failed
 0:05          1        3     2       1
 0:10          2        2     1       0
 0:15          2        0     2       0

Jobs that ended within 5 s
instances  intervals  mean  least  most
        1          1   3.0      3     3
        2          1   1.0      1     1

Seconds from submission to transcript
least  P50  P90   P99  longest  waiting, longest  working, longest
  2.0  5.5  14.0  14.0     14.0               9.0               3.0

Failures
1 x no audio"""


def test_tables_say_what_was_measured() -> None:
    assert [line.split() for line in report(record()).splitlines()] == [line.split() for line in REPORT.splitlines()]


def test_jobs_that_had_not_ended_are_counted() -> None:
    jobs = record().jobs

    assert "6 jobs in 0:12, 1 of them failed, 1 had not ended" in report(
        record(jobs=(*jobs[:5], replace(jobs[5], took_s=None)))
    )


def test_a_long_test_has_rows_of_more_time() -> None:
    long = record(jobs=(*record().jobs, replace(record().jobs[0], took_s=1000.0)))
    heading, _, *rows = report(long).split("\n\n")[1].splitlines()

    assert (heading, len(rows)) == ("Every 25 s", 40)
    assert sum(int(row.split()[3]) for row in rows) == 6


def test_a_test_in_which_nothing_was_transcribed_has_no_times() -> None:
    failed = tuple(replace(job, failure="no audio", audio_s=None) for job in record().jobs)

    assert "Seconds from submission" not in report(record(jobs=failed, metrics={}))


@pytest.mark.parametrize("changes", [{}, {"metrics": {}, "samples": ()}, {"minute_s": 0.1}, {"minute_s": 60.0}])
def test_a_picture_is_drawn_of_every_record(changes: dict[str, object], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    failed = tuple(replace(job, failure="no audio") for job in record().jobs)
    for jobs in (record().jobs, failed):
        load_plot.draw(record(jobs=jobs, **changes), tmp_path / "new" / "load.png")

        assert (tmp_path / "new" / "load.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_one_line_says_how_to_get_it() -> None:
    if find_spec("matplotlib") is not None:
        pytest.skip("matplotlib is here")

    with pytest.raises(Misused, match="pip install -r requirements-bench"):
        load_plot.check()
