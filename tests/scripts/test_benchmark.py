"""The benchmark against a server that answers at once; what it measures there means nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleet.load.errors import CannotMeasure
from fleet.load.record import from_json, to_json
from fleet.load.sides import Side
from fleet.load.turns import Turns
from scripts import benchmark
from scripts.load_bench import page
from tests.conftest import ROOT
from tests.fleet.load.fake_server import FakeServer, fake_server
from tests.fleet.load.records import record

BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"
BRIEF = ("--callers", "1,2", "--recordings", "5,10", "--seconds", "0.02", "--rounds", "1")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


def run(*arguments: str) -> None:
    benchmark.main(arguments)


def test_running_server_is_measured_alone(
    server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--url", server.url, "--out", str(tmp_path), "--title", "A fake", *BRIEF)
    measured = from_json((tmp_path / "a-fake" / "record.json").read_text("utf-8"))
    loads = [(one.kind, one.recording_s, one.callers) for one in measured.measured]

    assert loads == [
        *[("closed", length_s, callers) for length_s in (5, 10) for callers in (1, 2)],
        ("open", 5, 0),
        ("mix", 5, 1),
        ("crowd", 5, 64),
    ]
    assert {one.side for one in measured.measured} == {"the server"}
    assert sum(one.summary.errors for one in measured.measured) == 0
    assert [(it.recording_s, it.cuts) for it in measured.recordings] == [(5, 8), (10, 8)]
    assert all(it.windows >= it.cuts for it in measured.recordings)
    assert (tmp_path / "a-fake" / "report.md").read_text("utf-8") in capsys.readouterr().out


def test_every_round_has_servers_of_its_own(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers of the same code differ, by where their memory happens to lie."""
    told: list[str] = []

    @contextmanager
    def side() -> Iterator[Side]:
        told.append("started")
        yield Side(name="the server", url=server.url)
        told.append("stopped")

    monkeypatch.setattr(benchmark, "starting", lambda _choice: iter([side()]))
    monkeypatch.setattr(Turns, "mix", lambda *_arguments, **_keywords: told.append("measured"))
    run("--url", server.url, "--out", str(tmp_path), "--title", "A fake", *BRIEF[:-2], "--rounds", "2")

    assert told == ["started", "measured", "stopped"] * 2


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b'{"text": ""}', "the server has no words for 5 s of speech: empty text"),
        (200, b"<html>", "the server answered 200 with what is no transcript"),
        (500, b"broken", "the server has no words for 5 s of speech: 500 broken"),
    ],
)
def test_server_that_does_no_work_is_not_measured(
    server: FakeServer, tmp_path: Path, status: int, body: bytes, sentence: str
) -> None:
    server.status, server.body = status, body

    with pytest.raises(SystemExit, match=f"benchmark: {sentence}"):
        run("--url", server.url, "--out", str(tmp_path), *BRIEF)
    assert not list(tmp_path.iterdir())


def test_report_is_made_of_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "given.json").write_text(to_json(record()), "utf-8")
    run("--report", str(tmp_path / "given.json"), "--out", str(tmp_path / "new"))

    assert from_json((tmp_path / "new" / "demo-model" / "record.json").read_text("utf-8")) == record()
    assert "| requests that failed | 0 | 0 | met |" in capsys.readouterr().out


def test_record_that_is_none_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text("{}", "utf-8")

    with pytest.raises(SystemExit, match="benchmark: this is no record of the benchmark"):
        run("--report", str(tmp_path / "given.json"), "--out", str(tmp_path))
    with pytest.raises(SystemExit, match=r"benchmark: .*No such file"):
        run("--report", str(tmp_path / "nowhere.json"), "--out", str(tmp_path))


def test_page_is_renewed_between_its_marks_only(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / "benchmarks" / name).mkdir(parents=True)
        (tmp_path / "benchmarks" / name / "record.json").write_text(to_json(record(title=name)), "utf-8")
    page = f"# Head\n{BEGIN}\nold\n{END}\n## Images\n"
    renewed = benchmark.SHELF.on(page, tmp_path / "benchmarks")

    assert renewed.startswith(f"# Head\n{BEGIN}\n\n### a\n")
    assert renewed.endswith(f"{END}\n## Images\n")
    assert "old" not in renewed
    assert "](benchmarks/b/latency.png)" in renewed
    assert benchmark.SHELF.on(renewed, tmp_path / "benchmarks") == renewed


def test_page_without_marks_is_not_touched(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="no place for the reports"):
        benchmark.SHELF.on("# Head\n", tmp_path)


def test_page_of_the_project_has_its_marks_and_is_up_to_date() -> None:
    shown = page.PAGE.read_text("utf-8")

    assert benchmark.SHELF.on(shown, page.RECORDS) == shown


def test_terminated_benchmark_leaves_no_server_behind(tmp_path: Path) -> None:
    """Told to stop at the worst moment: while it starts one, which with an empty folder for a model is never ready."""
    command = [sys.executable, str(ROOT / "scripts" / "benchmark.py"), "--sides", "ours", "--out", str(tmp_path)]
    (tmp_path / "model").mkdir()
    process = subprocess.Popen([*command, "--model", str(tmp_path / "model")], stderr=subprocess.PIPE, text=True)
    try:
        ends_s = time.monotonic() + 60
        while not (children := children_of(process.pid)) and time.monotonic() < ends_s:
            os.sched_yield()
        assert children
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert process.returncode == 1
    assert said.endswith("benchmark: stopped; nothing was written\n")
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []
