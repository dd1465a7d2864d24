from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fleet.load import plots
from fleet.load.errors import CannotMeasure
from tests.fleet.load.records import record, with_cell


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is not None, reason="matplotlib is here")
def test_without_matplotlib_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(CannotMeasure, match="pip install -r requirements-bench"):
        plots.draw(record(), tmp_path)


def test_two_pictures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = plots.draw(with_cell(record(), "closed", callers=1, latency=None), tmp_path / "new")

    assert sorted(path.name for path in paths) == ["latency.png", "throughput.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_record_without_a_closed_loop_has_no_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    assert plots.draw(record(measured=()), tmp_path) == ()
