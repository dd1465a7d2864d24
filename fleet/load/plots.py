"""A record as two pictures: throughput and latency against callers, a line for each side."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fleet.load.errors import CannotMeasure
from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL, Record, label_of
from fleet.load.report import LATENCY_PLOT, THROUGHPUT_PLOT
from fleet.load.summary import Summary

COLOURS = {OURS: "#0072B2", SERIAL: "#D55E00", LITSERVE: "#009E73", BATCHED: "#CC79A7"}
"""Okabe and Ito's palette, which colour-blind readers tell apart; the markers do it without colour."""

MARKERS = {OURS: "o", SERIAL: "s", LITSERVE: "^", BATCHED: "D"}
INCHES = 4.2
INCHES_ACROSS = 6.0
"""At least, or a single panel is narrower than its legend."""

LETTERS_IN_AN_INCH = 11
"""Of a title."""

DOTS_PER_INCH = 130

LABELS_IN_A_ROW = 2
"""Of the legend, below each panel."""


def check() -> None:
    """Return when plots can be drawn.

    Raises:
        CannotMeasure: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise CannotMeasure("plots need matplotlib; run: pip install -r requirements-bench.txt")


def draw(record: Record, folder: Path) -> tuple[Path, ...]:
    """Write `latency.png` and `throughput.png`; nothing when the record has no closed loop.

    Raises:
        CannotMeasure: matplotlib is not installed.
    """
    check()
    from matplotlib import use  # noqa: PLC0415 - only who draws needs it
    from matplotlib.figure import Figure  # noqa: PLC0415

    use("Agg")
    lengths_s = record.lengths_s("closed")
    if not lengths_s:
        return ()
    paths = []
    for name, fill in ((THROUGHPUT_PLOT, _throughput), (LATENCY_PLOT, _latency)):
        across = max(INCHES_ACROSS, INCHES * len(lengths_s))
        figure = Figure(figsize=(across, INCHES), layout="constrained")
        panels = figure.subplots(1, len(lengths_s), squeeze=False, sharey=True)[0]
        for panel, length_s in zip(panels, lengths_s, strict=True):
            fill(panel, record, length_s)
            panel.set_title(f"recordings of {length_s} s")
            panel.set_xlabel("callers")
            panel.set_xticks(record.callers())
            panel.grid(visible=True, alpha=0.3)
            panel.label_outer()
        handles, labels = panels[0].get_legend_handles_labels()
        rows = math.ceil(len(labels) / (LABELS_IN_A_ROW * len(panels)))
        columns = math.ceil(len(labels) / rows)
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)
        title = textwrap.fill(f"{record.title} ({record.machine})", round(LETTERS_IN_AN_INCH * across))
        figure.suptitle(title, fontsize="medium")
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / name, dpi=DOTS_PER_INCH, metadata={"Software": None})
        paths.append(folder / name)
    return tuple(paths)


Axes = Any  # matplotlib is not installed where types are checked


def _throughput(panel: Axes, record: Record, length_s: int) -> None:
    for side in record.sides:
        _line(panel, record, side, length_s, lambda summary: summary.requests_per_s, label=label_of(side))
    most = record.roofline_windows_per_s(length_s)
    if most is not None:
        requests_per_s = most / record.windows_per_request(length_s)
        panel.axhline(requests_per_s, color="grey", linestyle="--", label="roofline with preprocessing")
    panel.set_ylabel("requests per second")
    floor = panel.axhline(0, linewidth=0)  # a limit would be that of the first panel for all, who share the axis
    floor.sticky_edges.y.append(0)


def _latency(panel: Axes, record: Record, length_s: int) -> None:
    for side in record.sides:
        label = label_of(side)
        _line(panel, record, side, length_s, _p50_ms, label=f"{label}, P50")
        _line(panel, record, side, length_s, _p95_ms, label=f"{label}, P95", dash=":")
    panel.set_ylabel("latency in milliseconds")
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter(_with_commas)
    low, high = panel.get_ylim()  # of all panels so far, who share the axis
    is_within_a_decade = high < 10 * low
    panel.yaxis.set_minor_formatter(_with_commas if is_within_a_decade else _unlabelled)


def _with_commas(value: float, _position: int | None) -> str:
    return f"{value:,.0f}"


def _unlabelled(_value: float, _position: int | None) -> str:
    return ""


def in_turn(looks: Mapping[str, str], record: Record, side: str) -> str:
    """Return the look of a side that has none of its own: those of the others, in the order of the record."""
    return tuple(looks.values())[record.sides.index(side) % len(looks)]


def _p50_ms(summary: Summary) -> float | None:
    return summary.latency.p50_ms if summary.latency else None


def _p95_ms(summary: Summary) -> float | None:
    return summary.latency.p95_ms if summary.latency else None


def _line(
    panel: Axes,
    record: Record,
    side: str,
    length_s: int,
    value_of: Callable[[Summary], float | None],
    *,
    label: str,
    dash: str = "-",
) -> None:
    cells = sorted((one.callers, one.summary) for one in record.select("closed", side=side, recording_s=length_s))
    points = [(callers, value) for callers, summary in cells if (value := value_of(summary)) is not None]
    if points:
        panel.plot(
            *zip(*points, strict=True),
            dash,
            color=COLOURS.get(side, in_turn(COLOURS, record, side)),
            marker=MARKERS.get(side, in_turn(MARKERS, record, side)),
            markersize=5,
            label=label,
        )
