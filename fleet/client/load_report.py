"""The tables of a load test."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.client.load_record import Interval, LoadRecord, quantile
from fleet.client.tables import clock_text, table

MOST_ROWS = 40
"""Rows of the first table; a longer test gets longer rows of time."""


def report(record: LoadRecord) -> str:
    """Return all tables, with a heading each."""
    return "\n\n".join(_parts(record))


def _parts(record: LoadRecord) -> Iterator[str]:
    intervals = record.intervals()
    yield f"{record.title}: {_sum(record)}"
    stride = -(-len(intervals) // MOST_ROWS)
    yield f"Every {record.interval_s * stride:g} s\n{_over_time(intervals, stride)}"
    yield f"Jobs that ended within {record.interval_s:g} s\n{_by_instances(intervals)}"
    if record.times_s:
        yield f"Seconds from submission to transcript\n{_times(record)}"
    failures = sorted({job.failure for job in record.jobs if job.failure})
    if failures:
        yield "Failures\n" + "\n".join(
            f"{sum(job.failure == failure for job in record.jobs)} x {failure}" for failure in failures
        )


def _sum(record: LoadRecord) -> str:
    failed = sum(bool(job.failure) for job in record.jobs)
    running = sum(job.took_s is None for job in record.jobs)
    heard_s = sum(job.audio_s or 0.0 for job in record.jobs if not job.failure)
    words = f"{len(record.jobs)} jobs in {clock_text(record.until_s)}, {failed} of them failed"
    if running:
        words += f", {running} had not ended"
    if heard_s and record.until_s:
        words += f"; {heard_s:,.0f} s of audio, {heard_s / record.until_s:.1f} s in each second"
    return words


def _over_time(intervals: list[Interval], stride: int) -> str:
    are_whole = all(one.to_s.is_integer() for one in intervals)
    rows = []
    for start in range(0, len(intervals), stride):
        group = intervals[start : start + stride]
        last = group[-1]
        done, failed = sum(one.done for one in group), sum(one.failed for one in group)
        until = clock_text(last.to_s) if are_whole else f"{last.to_s:.1f} s"
        rows.append([until, str(last.instances), str(last.backlog), str(done), str(failed)])
    return table(["until", "instances", "backlog", "done", "failed"], rows, right=frozenset(range(5)))


def _by_instances(intervals: list[Interval]) -> str:
    """Compare half minutes by the instances they had; the last one is left out, for nothing was left to do."""
    rows = []
    busy = [one for one in intervals if one.backlog > 0]
    for count in sorted({one.instances for one in busy}):
        ended = [one.done + one.failed for one in busy if one.instances == count]
        rows.append([str(count), str(len(ended)), f"{sum(ended) / len(ended):.1f}", str(min(ended)), str(max(ended))])
    return table(["instances", "intervals", "mean", "least", "most"], rows, right=frozenset(range(5)))


def _times(record: LoadRecord) -> str:
    times_s = record.times_s
    waited_ms = [point.value for point in record.metrics.get("TimeInBacklog", ())]
    worked_ms = [point.value for point in record.metrics.get("TotalProcessingTime", ())]
    head = ["least", "P50", "P90", "P99", "longest", "waiting, longest", "working, longest"]
    cells = [times_s[0], *(quantile(times_s, share) for share in (0.5, 0.9, 0.99)), times_s[-1]]
    row = [f"{cell:.1f}" for cell in cells]
    row += [f"{max(values) / 1000:.1f}" if values else "-" for values in (waited_ms, worked_ms)]
    return table(head, [row], right=frozenset(range(7)))
