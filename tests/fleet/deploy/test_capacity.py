from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.deploy.capacity import WINDOWS_AT_ONCE, check_jobs_at_once, jobs_at_once, requests_at_once
from fleet.deploy.desired import CannotDeploy
from tests.conftest import ROOT
from transcriber.scheduling.admission import Admission
from transcriber.settings import load


@given(
    limit=st.integers(1, 1000),
    waiting_s=st.floats(60, 100_000),
    longest_s=st.floats(1, 20_000),
)
def test_jobs_at_once_are_never_refused_by_the_container(limit: int, waiting_s: float, longest_s: float) -> None:
    """Against the container's own admission: as many recordings of that length, none of them worked on yet."""
    read = load({"MAX_REQUESTS_IN_FLIGHT": str(limit), "MAX_WAITING_SECONDS": str(waiting_s)})
    admission = Admission(
        limit_requests=read.max_requests_in_flight, limit_waiting_s=read.max_waiting_seconds, clock=lambda: 0.0
    )

    for _ in range(jobs_at_once(read, longest_recording_s=longest_s)):
        admission.admit().__enter__().count(longest_s)


def test_jobs_at_once_follow_the_longest_recording() -> None:
    read = load({})

    assert [jobs_at_once(read, longest_recording_s=minutes * 60) for minutes in (1, 60, 240, 600)] == [64, 8, 2, 1]


def test_more_jobs_than_the_container_lets_in_are_refused() -> None:
    check_jobs_at_once(64, load({}))
    with pytest.raises(CannotDeploy, match="refused with 503"):
        check_jobs_at_once(65, load({}))


def test_requests_at_once_are_what_the_batches_hold() -> None:
    assert requests_at_once(load({}), instance_type="ml.g6.2xlarge") == 16
    assert requests_at_once(load({}), instance_type="ml.c7i.4xlarge") == 8
    settings = load({"MAX_CONCURRENT": "2", "MAX_BATCH_WINDOWS": "24"})
    assert requests_at_once(settings, instance_type="ml.g6.2xlarge") == 48


def test_windows_at_once_follow_the_settings_page() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")

    assert f"0 is {WINDOWS_AT_ONCE['cpu']} on a CPU; for a Whisper below 100 MiB" in page
    assert "on CUDA what the free memory holds, at most 48" in page
    assert WINDOWS_AT_ONCE["gpu"] <= 48
