"""What runs amount to: latencies, throughput, errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fleet.load.runs import Ping, Run, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a number of latencies are spread, in milliseconds; percentiles are numpy's, linear between samples."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The same plan, run once or several times.

    Attributes:
        seconds: How long answers were counted.
        requests: Transcripts that came in that time; the figures below are of them.
        requests_per_s: Transcripts a second.
        requests_per_s_by_run: The same for each run alone: how steady the machine was.
        windows_per_s: Windows a second, as the plan counts windows.
        rtfx: Seconds of audio transcribed in a second.
        latency: None when there was no transcript.
        pings: None when /ping was not asked.
        company: What the company's requests took; None when there was none.
        errors: Requests without a transcript, at any time of the runs.
        ping_errors: Pings that were not answered with 200.
        complaint: What the first error said.
    """

    seconds: float
    requests: int
    requests_per_s: float
    requests_per_s_by_run: tuple[float, ...]
    windows_per_s: float
    rtfx: float
    latency: Spread | None
    pings: Spread | None
    company: Spread | None
    errors: int
    ping_errors: int
    complaint: str


def summarise(runs: Sequence[Run]) -> Summary:
    """Sum up runs of one plan against one server.

    Answers count when they came between `opened_s` and `closed_s`, whenever they were asked for. While the load is
    steady that favours neither the quick nor the slow; only to count what began and ended inside would leave out the
    slowest.
    """
    counted = [[sample for sample in run.samples if _counts(sample, run)] for run in runs]
    lengths_s = [run.closed_s - run.opened_s for run in runs]
    seconds = sum(lengths_s)
    answers = [sample for samples in counted for sample in samples]
    failed = [sample for run in runs for sample in (*run.samples, *run.company) if sample.complaint]
    pings = [
        (ping, run.ping_every_s) for run in runs for ping in run.pings if run.opened_s <= ping.due_s <= run.closed_s
    ]
    return Summary(
        seconds=seconds,
        requests=len(answers),
        requests_per_s=_rate(len(answers), seconds),
        requests_per_s_by_run=tuple(map(_rate, map(len, counted), lengths_s)),
        windows_per_s=_rate(sum(sample.recording.windows for sample in answers), seconds),
        rtfx=_rate(sum(sample.recording.duration_s for sample in answers), seconds),
        latency=spread_of(sample.done_s - sample.due_s for sample in answers),
        pings=spread_of(wait_s for ping, every_s in pings for wait_s in waits_s(ping, every_s=every_s)),
        company=spread_of(
            sample.done_s - sample.due_s for run in runs for sample in run.company if not sample.complaint
        ),
        errors=len(failed),
        ping_errors=sum(ping.status != 200 for ping, _ in pings),
        complaint=failed[0].complaint if failed else "",
    )


def spread_of(latencies_s: Iterable[float]) -> Spread | None:
    """Return how latencies, given in seconds, are spread; None when there are none."""
    taken_ms = np.fromiter(latencies_s, np.float64) * 1000
    if not len(taken_ms):
        return None
    p50_ms, p95_ms, p99_ms = (float(value) for value in np.percentile(taken_ms, (50, 95, 99)))
    return Spread(
        count=len(taken_ms),
        mean_ms=float(taken_ms.mean()),
        p50_ms=p50_ms,
        p95_ms=p95_ms,
        p99_ms=p99_ms,
        max_ms=float(taken_ms.max()),
    )


def waits_s(ping: Ping, *, every_s: float) -> Iterator[float]:
    """Yield how long a ping waited, and those that were due while it was still out.

    One connection asks one question at a time. While an answer takes long, the questions that were due meanwhile are
    not sent; had they been, they would have waited until then as well. HdrHistogram calls this correction
    `recordValueWithExpectedInterval`.

    Example:
        >>> list(waits_s(Ping(due_s=0, done_s=5, status=200), every_s=2))
        [5, 3, 1]
    """
    number = 0
    while (wait_s := ping.done_s - ping.due_s - number * every_s) > 0:
        yield wait_s
        number += 1


def _counts(sample: Sample, run: Run) -> bool:
    return not sample.complaint and run.opened_s <= sample.done_s <= run.closed_s


def _rate(amount: float, seconds: float) -> float:
    return amount / seconds if seconds > 0 else 0.0
