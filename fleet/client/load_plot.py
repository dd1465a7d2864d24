"""A load test as a picture: instances, backlog and completions over time, and how long the jobs took."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fleet.client.errors import CannotCall, Misused
from fleet.client.load_record import LoadRecord, quantile

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
"""Okabe and Ito's palette, which colour-blind readers tell apart."""

INCHES = (11.0, 6.0)
DOTS_PER_INCH = 130
MOST_BARS = 60
HEADROOM = 1.2
"""Space above the highest bar, for the legend."""

SECONDS_UP_TO_S = 240.0
"""Tests that took longer are drawn in minutes."""

Axes = Any  # matplotlib is not installed where types are checked


def check() -> None:
    """Return when a picture can be drawn.

    Raises:
        Misused: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise Misused("the picture needs matplotlib; run: pip install -r requirements-bench.txt (or say --no-plot)")


def draw(record: LoadRecord, path: Path) -> None:
    """Write the picture as a PNG.

    Raises:
        Misused: matplotlib is not installed.
        CannotCall: The file cannot be written.
    """
    check()
    from matplotlib import use  # noqa: PLC0415 - only who draws needs it
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415

    use("Agg")
    figure = Figure(figsize=INCHES, layout="constrained")
    panels = figure.subplot_mosaic(
        [["instances", "times"], ["backlog", "times"], ["ends", "times"]],
        width_ratios=[5, 3],
        height_ratios=[2, 3, 3],
    )
    unit, unit_s = ("seconds", 1.0) if record.until_s <= SECONDS_UP_TO_S else ("minutes", 60.0)
    _instances(panels["instances"], record, unit_s)
    _backlog(panels["backlog"], record, unit_s)
    _ends(panels["ends"], record, unit_s)
    for name in ("instances", "backlog", "ends"):
        panels[name].set_xlim(0, record.intervals()[-1].to_s / unit_s)
        panels[name].set_ylim(bottom=0)
        panels[name].yaxis.set_major_locator(MaxNLocator(integer=True))
        panels[name].grid(visible=True, alpha=0.3)
        panels[name].tick_params(labelbottom=name == "ends")
    panels["ends"].set_xlabel(f"{unit} since the first job was submitted")
    _times(panels["times"], record)
    figure.suptitle(record.title, fontsize="medium")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
    except OSError as error:
        raise CannotCall(f"the picture {path} cannot be written ({error.strerror}); see --out") from error


def _instances(panel: Axes, record: LoadRecord, unit_s: float) -> None:
    at = [sample.at_s / unit_s for sample in record.samples]
    panel.step(at, [sample.wanted for sample in record.samples], "--", where="post", color=GREY, label="wanted")
    panel.step(at, [sample.instances for sample in record.samples], where="post", color=BLUE, label="in service")
    panel.set_ylabel("instances")
    panel.set_ylim(top=max((sample.wanted for sample in record.samples), default=1) + 0.6)
    panel.legend(loc="lower right", frameon=False, fontsize="small", ncols=2)


def _backlog(panel: Axes, record: LoadRecord, unit_s: float) -> None:
    moments = sorted({0.0, *(t for job in record.jobs for t in (job.submitted_s, job.ended_s) if t is not None)})
    at = [moment / unit_s for moment in moments]
    backlog = [record.backlog(moment) for moment in moments]
    panel.fill_between(at, backlog, step="post", color=BLUE, alpha=0.2)
    panel.step(at, backlog, where="post", color=BLUE, label="jobs not ended")
    points = record.metrics.get("ApproximateBacklogSize", ())
    if points:
        # a point tells of the period that begins with it
        at = [(point.at_s + record.minute_s / 2) / unit_s for point in points]
        panel.plot(at, [point.value for point in points], "o", color=ORANGE, label="ApproximateBacklogSize, mean")
    panel.set_ylabel("backlog (jobs)")
    panel.legend(loc="upper right", frameon=False, fontsize="small")


def _ends(panel: Axes, record: LoadRecord, unit_s: float) -> None:
    intervals = record.intervals()
    stride = -(-len(intervals) // MOST_BARS)
    groups = [intervals[start : start + stride] for start in range(0, len(intervals), stride)]
    at = [group[0].from_s / unit_s for group in groups]
    done = [sum(one.done for one in group) for group in groups]
    failed = [sum(one.failed for one in group) for group in groups]
    width = record.interval_s * stride / unit_s
    bars = {"align": "edge", "width": width, "edgecolor": "white", "linewidth": 0.5}
    panel.bar(at, done, color=GREEN, label="transcribed", **bars)
    panel.bar(at, failed, bottom=done, color=ORANGE, label="failed", **bars)
    panel.set_ylim(top=max(map(sum, zip(done, failed, strict=True))) * HEADROOM + 1)
    panel.set_ylabel(f"jobs ended per {record.interval_s * stride:g} s")
    panel.legend(loc="upper right", frameon=False, fontsize="small", ncols=2)


def _times(panel: Axes, record: LoadRecord) -> None:
    times_s = record.times_s
    panel.set_title("how long jobs took", fontsize="medium")
    panel.set_xlabel("seconds from submission to transcript")
    panel.set_ylabel("jobs")
    if not times_s:
        return
    counts, _, _ = panel.hist(
        times_s, bins=min(20, max(5, len(times_s) // 3)), range=(0, times_s[-1] or 1), color=BLUE, alpha=0.7
    )
    for share, dash in ((0.5, "-"), (0.9, "--")):
        value_s = quantile(times_s, share)
        panel.axvline(value_s, color=ORANGE, linestyle=dash, label=f"P{share * 100:.0f}: {value_s:.1f} s")
    panel.set_xlim(left=0)
    panel.set_ylim(top=max(counts) * HEADROOM)
    panel.yaxis.get_major_locator().set_params(integer=True)
    panel.grid(visible=True, alpha=0.3)
    panel.legend(loc="upper left", frameon=False, fontsize="small")
