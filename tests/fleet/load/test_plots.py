from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def test_the_axis_begins_at_nothing_and_no_panel_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    limits: dict[str, list[tuple[float, float, float]]] = {}

    def look(drawn: Any, path: Path, **_options: object) -> None:
        limits[path.name] = [(*panel.get_ylim(), panel.dataLim.y1) for panel in drawn.axes]

    monkeypatch.setattr(figure.Figure, "savefig", look)
    fast = replace(record().measured[0].summary, requests_per_s=1000.0)
    cell = replace(record().measured[0], recording_s=99, summary=fast)
    plots.draw(record(measured=(*record().measured, cell)), tmp_path)

    assert max(highest for _bottom, _top, highest in limits["throughput.png"]) == 1000.0
    for bottom, top, _highest in limits["throughput.png"]:
        assert bottom == 0
        assert top > 1000.0


def test_nothing_of_a_single_panel_is_cut_and_every_tick_is_a_plain_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    seen: list[str] = []

    def look(drawn: Any, path: Path, **_options: object) -> None:
        drawn.canvas.draw()
        for text in (drawn._suptitle, drawn.legends[0]):
            extent = text.get_window_extent()
            assert 0 <= extent.x0 < extent.x1 <= drawn.bbox.width, path.name
        seen.extend(label.get_text() for label in drawn.axes[0].get_yticklabels(which="both"))

    monkeypatch.setattr(figure.Figure, "savefig", look)
    cells = [one for one in record().measured if one.recording_s == record().lengths_s("closed")[0]]
    plots.draw(
        replace(record(measured=tuple(cells)), title="Demo, two windows, beside one request at a time"), tmp_path
    )

    assert any(seen)
    assert not [label for label in seen if "10^" in label]


def test_record_without_a_closed_loop_has_no_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")

    assert plots.draw(record(measured=()), tmp_path) == ()
