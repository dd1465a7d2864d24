from __future__ import annotations

from pathlib import Path

from fleet.load.report import report_of
from tests.fleet.load.records import lone, record, sliced, with_cell

GOLDEN = Path(__file__).parent / "golden" / "report.md"


def test_report_says_everything_that_the_record_holds() -> None:
    """Delete the file and run the test twice to renew it."""
    written = report_of(record(), pictures="benchmarks/demo/")
    if not GOLDEN.exists():
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(written, "utf-8")

    assert written == GOLDEN.read_text("utf-8")


def test_report_shows_each_round_in_slices() -> None:
    first, second = sliced(19.0, roofline_0=20.0, serial_20=5.0), sliced(20.0, roofline_0=20.0, serial_20=5.0)
    report = report_of(record(sliced=(first, second, sliced(19.6, recording_s=30))))

    assert "with 20 callers beside others" in report
    assert "40 slices of 1 s for each" in report
    beside = "the roofline with preprocessing"
    assert f"| 15 s | {beside} | 20.00 · 20.00 | 19.00 · 20.00 | 0.975 ± 0.025 |" in report
    assert "| 15 s | one request at a time, 20 callers | 5.00 · 5.00 | 19.00 · 20.00 | 3.900 ± 0.100 |" in report
    assert f"| 30 s | {beside} | 20.00 | 19.60 | 0.980 |" in report


def test_report_shows_each_round_of_a_lone_caller() -> None:
    report = report_of(record(lone=(lone(100.0), lone(102.0), lone(90.0, recording_s=30))))

    assert "20 requests each" in report
    assert "| 15 s | one request at a time | 200 · 200 | 100 · 102 | 0.505 ± 0.005 |" in report
    assert "| 30 s | one request at a time | 200 | 90 | 0.450 |" in report


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    report = report_of(with_cell(record(), "closed", latency=None, pings=None))
    blocks = [block.splitlines() for block in report.split("\n\n") if block.startswith("|")]

    assert len(blocks) >= 5
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1


def test_servers_stand_in_one_order_whoever_was_measured_first() -> None:
    turned = record(measured=tuple(reversed(record().measured)))

    assert [one.side for one in turned.select("closed")] == [one.side for one in record().select("closed")]


def test_report_of_little_is_short() -> None:
    nothing = record(sides=("the server",), measured=(), rooflines=(), upload=None, words={}, idle_cpu={})

    assert len(report_of(nothing).splitlines()) == 3
