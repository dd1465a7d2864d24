"""How much one instance can be given at the same time, from the settings of its container."""

from __future__ import annotations

import math

from fleet.deploy import platform_facts
from fleet.deploy.desired import CannotDeploy
from transcriber.settings import Settings

WINDOWS_AT_ONCE = {"cpu": 8, "gpu": 16}
"""Windows in one batch when MAX_BATCH_WINDOWS is 0. On a GPU the container takes what its memory holds, at most 48
(docs/settings.md), which cannot be known here: 16 is a cautious third, and --target-requests says it better."""


def jobs_at_once(read: Settings, *, longest_recording_s: float) -> int:
    """Return how many asynchronous jobs one instance can take without refusing any.

    An asynchronous endpoint does not repeat a job that the container refused with 503, so SageMaker must never hand
    over more than is let in: MAX_REQUESTS_IN_FLIGHT requests, and none once MAX_WAITING_SECONDS of speech wait. The
    last job let in may find all the others waiting in full length, but not yet the limit reached.

    Args:
        read: The container's settings.
        longest_recording_s: Seconds of the longest recording that is expected, above 0.

    Example:
        With 8 hours that may wait, recordings of one hour: the eighth job finds at most 7 hours waiting, a ninth might
        find 8 and be refused.

        >>> jobs_at_once(settings.load({}), longest_recording_s=3600.0)
        8
    """
    by_waiting = max(1, math.ceil(read.max_waiting_seconds / longest_recording_s))
    return min(read.max_requests_in_flight, by_waiting, platform_facts.MOST_CONCURRENT_INVOCATIONS)


def requests_at_once(read: Settings, *, instance_type: str) -> int:
    """Return how many short requests one instance works on side by side: what its batches hold.

    A real-time request is a window or two, so up to here nobody waits for a second batch.
    """
    device = "cpu" if platform_facts.gpu_of(instance_type) is None else "gpu"
    batches = max(1, read.max_concurrent)
    windows = read.max_batch_windows or WINDOWS_AT_ONCE[device]
    return min(read.max_requests_in_flight, batches * windows)


def check_jobs_at_once(jobs: int, read: Settings) -> None:
    """Refuse a number of jobs that the container would not let in.

    Raises:
        CannotDeploy: It is above what the container or SageMaker takes.
    """
    most = min(read.max_requests_in_flight, platform_facts.MOST_CONCURRENT_INVOCATIONS)
    if not 1 <= jobs <= most:
        raise CannotDeploy(
            f"{jobs} jobs at once on one instance cannot be: 1 to {most} are let in (MAX_REQUESTS_IN_FLIGHT), the "
            "others would be refused with 503, and an asynchronous endpoint does not try a job again"
        )
