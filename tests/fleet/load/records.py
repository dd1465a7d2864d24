"""A record that was made up: round figures, so that the verdicts can be checked by eye."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.load.record import (
    BATCHED,
    LITSERVE,
    OURS,
    SERIAL,
    Aims,
    Kind,
    Material,
    Measured,
    Peak,
    Record,
    Roofline,
    Upload,
)
from fleet.load.slices import ROOFLINE, Lane, Lone, Sliced
from fleet.load.summary import Spread, Summary

CALLERS = (1, 20)


def spread(p50_ms: float, *, p95_ms: float | None = None, p99_ms: float | None = None) -> Spread:
    return Spread(
        count=100,
        mean_ms=p50_ms,
        p50_ms=p50_ms,
        p95_ms=p95_ms or 2 * p50_ms,
        p99_ms=p99_ms or 3 * p50_ms,
        max_ms=max(4 * p50_ms, p99_ms or 0.0),
    )


def summary(requests_per_s: float, p50_ms: float, **changes: Any) -> Summary:
    whole = Summary(
        seconds=10.0,
        requests=round(10 * requests_per_s),
        requests_per_s=requests_per_s,
        requests_per_s_by_run=(requests_per_s, requests_per_s),
        windows_per_s=requests_per_s,
        rtfx=15 * requests_per_s,
        latency=spread(p50_ms),
        pings=spread(2.0),
        company=None,
        errors=0,
        ping_errors=0,
        complaint="",
    )
    return replace(whole, **changes)


def measured(side: str, kind: Kind, figures: Summary, *, callers: int = 1, recording_s: int = 15) -> Measured:
    return Measured(
        side=side,
        kind=kind,
        recording_s=recording_s,
        callers=callers,
        rate_per_s=12.0 if kind == "open" else None,
        summary=figures,
    )


def record(**changes: Any) -> Record:
    """Every aim is met."""
    rates = {OURS: (10.0, 20.0), SERIAL: (5.0, 5.0), LITSERVE: (4.0, 8.0), BATCHED: (6.25, 6.25)}
    closed = [
        measured(side, "closed", summary(rate, 1000 * callers / rate), callers=callers)
        for side, by_callers in rates.items()
        for callers, rate in zip(CALLERS, by_callers, strict=True)
    ]
    others = [
        measured(OURS, "open", summary(12.0, 120.0), callers=0),
        measured(OURS, "mix", summary(8.0, 80.0, latency=spread(80, p95_ms=100), company=spread(9000)), recording_s=5),
        measured(OURS, "crowd", summary(20.0, 3200.0, pings=spread(1.5, p99_ms=12.0)), callers=64),
    ]
    whole = Record(
        title="Demo model",
        date="2026-01-01T00:00+00:00",
        command="python scripts/benchmark.py",
        machine="a processor, 2 cores, Linux",
        model="demo",
        versions={"ctranslate2": "4.8.5", "numpy": "2.4.6"},
        seconds=5.0,
        rounds=2,
        aims=Aims(),
        sides=(OURS, SERIAL, LITSERVE, BATCHED),
        words={OURS: 60, SERIAL: 59, LITSERVE: 59, BATCHED: 58},
        idle_cpu={OURS: 0.0, LITSERVE: 0.003},
        recordings=(Material(recording_s=5, cuts=8, windows=8), Material(recording_s=15, cuts=8, windows=8)),
        measured=(*closed, *others),
        rooflines=(
            Roofline(
                recording_s=15,
                device=Peak(windows_per_s=32.0, batch=1, workers=2, threads=1),
                with_preprocessing=Peak(windows_per_s=20.5, batch=4, workers=2, threads=1),
            ),
        ),
        batch_ms=50.0,
        upload=Upload(upload_mib=300, grown_mib=12.5),
    )
    return replace(whole, **changes)


def sliced(ours_per_s: float, *, recording_s: int = 15, **others: float) -> Sliced:
    """Our side with 20 callers beside the roofline at 20 windows/s, or beside others, by `name_callers`."""
    lanes = [Lane(side=OURS, callers=20, windows_per_s=ours_per_s)]
    for name, per_s in (others or {f"{ROOFLINE}_0": 20.0}).items():
        side, callers = name.split("_")
        lanes.append(Lane(side=side, callers=int(callers), windows_per_s=per_s))
    return Sliced(recording_s=recording_s, slices=40, slice_s=1.0, lanes=tuple(lanes))


def lone(ours_ms: float, serial_ms: float = 200.0, *, recording_s: int = 15) -> Lone:
    return Lone(recording_s=recording_s, requests=20, p50_ms={OURS: ours_ms, SERIAL: serial_ms})


def with_cell(whole: Record, kind: Kind, *, side: str = OURS, callers: int | None = None, **changes: Any) -> Record:
    """Change the summaries of one kind of load."""
    return replace(
        whole,
        measured=tuple(
            replace(one, summary=replace(one.summary, **changes))
            if (one.kind, one.side) == (kind, side) and callers in (None, one.callers)
            else one
            for one in whole.measured
        ),
    )
