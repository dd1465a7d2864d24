from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.load.plan import Recording
from fleet.load.runs import Ping, Run, Sample
from fleet.load.summary import spread_of, summarise, waits_s
from tests.fleet.load.conftest import recording

latencies = st.lists(st.floats(0, 100), min_size=1, max_size=50)


def sample(
    *, due_s: float = 0.0, done_s: float = 1.0, of: Recording | None = None, status: int = 200, complaint: str = ""
) -> Sample:
    return Sample(recording=of or recording(), due_s=due_s, done_s=done_s, status=status, complaint=complaint)


@given(taken_s=latencies)
def test_percentiles_are_those_of_numpy_and_never_decrease(taken_s: list[float]) -> None:
    spread = spread_of(taken_s)

    assert spread is not None
    assert spread.count == len(taken_s)
    found = [spread.p50_ms, spread.p95_ms, spread.p99_ms]
    assert found == pytest.approx([float(np.percentile(taken_s, q)) * 1000 for q in (50, 95, 99)])
    assert sorted(found) == found
    assert spread.p99_ms <= spread.max_ms == pytest.approx(max(taken_s) * 1000)
    assert min(taken_s) * 1000 <= spread.mean_ms * (1 + 1e-9)


def test_nothing_has_no_spread() -> None:
    assert spread_of([]) is None


@given(
    windows=st.lists(st.integers(1, 20), min_size=1, max_size=30),
    seconds=st.floats(0.5, 100),
)
def test_throughput_counts_requests_windows_and_seconds_of_audio(windows: list[int], seconds: float) -> None:
    samples = tuple(sample(of=recording(duration_s=10.0 * number, windows=number)) for number in windows)
    summary = summarise([Run(opened_s=0.5, closed_s=0.5 + seconds, samples=samples)])

    assert summary.requests == len(windows)
    assert summary.requests_per_s == pytest.approx(len(windows) / seconds)
    assert summary.windows_per_s == pytest.approx(sum(windows) / seconds)
    assert summary.rtfx == pytest.approx(10 * sum(windows) / seconds)


def test_answers_count_by_when_they_came() -> None:
    """One that began before the time and ended in it counts, with its whole latency; one that ended after does not."""
    samples = (
        sample(due_s=0.0, done_s=0.9),
        sample(due_s=0.5, done_s=2.5),
        sample(due_s=2.9, done_s=3.1),
    )
    summary = summarise([Run(opened_s=1.0, closed_s=3.0, samples=samples)])

    assert summary.requests == 1
    assert summary.requests_per_s == 0.5
    assert summary.latency is not None
    assert summary.latency.max_ms == 2000


def test_errors_are_counted_whenever_they_came_and_never_as_answers() -> None:
    refused = sample(done_s=0.1, status=503, complaint="503 busy")
    company = (sample(status=0, complaint="no answer: timed out"),)
    summary = summarise([Run(opened_s=0.5, closed_s=1.5, samples=(refused, sample()), company=company)])

    assert (summary.errors, summary.requests) == (2, 1)
    assert summary.complaint == "503 busy"
    assert summary.company is None


def test_runs_of_one_plan_are_summed_up_together_and_kept_apart() -> None:
    quick = Run(opened_s=0.0, closed_s=1.0, samples=(sample(done_s=0.2), sample(done_s=0.4)))
    slow = Run(opened_s=10.0, closed_s=13.0, samples=(sample(due_s=10, done_s=13),))
    summary = summarise([quick, slow])

    assert summary.seconds == 4.0
    assert summary.requests_per_s == 3 / 4
    assert summary.requests_per_s_by_run == (2.0, 1 / 3)


def test_what_was_never_answered_has_no_latency() -> None:
    summary = summarise([Run(opened_s=0.0, closed_s=0.0, samples=())])

    assert (summary.latency, summary.pings, summary.requests_per_s, summary.rtfx) == (None, None, 0.0, 0.0)


def test_pings_outside_the_time_do_not_count() -> None:
    pings = tuple(Ping(due_s=due_s, done_s=due_s + 0.01, status=200) for due_s in (0.0, 1.5, 3.0))
    summary = summarise([Run(opened_s=1.0, closed_s=2.0, samples=(), pings=pings)])

    assert summary.pings is not None
    assert summary.pings.count == 1


def test_pings_that_were_refused_are_counted() -> None:
    pings = (Ping(due_s=1.0, done_s=1.01, status=503), Ping(due_s=1.1, done_s=1.11, status=200))

    assert summarise([Run(opened_s=1.0, closed_s=2.0, samples=(), pings=pings)]).ping_errors == 1


def test_slow_ping_stands_for_those_that_would_have_waited_behind_it() -> None:
    ping = Ping(due_s=10.0, done_s=10.5, status=200)

    assert list(waits_s(ping, every_s=0.2)) == pytest.approx([0.5, 0.3, 0.1])


@given(took_s=st.floats(0.001, 3), every_s=st.floats(0.01, 1))
def test_every_ping_waits_at_least_once_and_never_longer_than_it_took(took_s: float, every_s: float) -> None:
    waits = list(waits_s(Ping(due_s=0.0, done_s=took_s, status=200), every_s=every_s))

    assert waits[0] == took_s
    assert all(0 < wait_s <= took_s for wait_s in waits)


def test_a_run_tells_how_often_it_asked() -> None:
    slow = Ping(due_s=1.0, done_s=1.5, status=200)
    counts = []
    for every_s in (0.1, 0.4):
        run = Run(opened_s=1.0, closed_s=2.0, samples=(), pings=(slow,), ping_every_s=every_s)
        asked = summarise([run]).pings
        assert asked is not None
        counts.append(asked.count)

    assert counts == [5, 2]
