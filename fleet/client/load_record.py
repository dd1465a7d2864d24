"""Everything that one load test of an asynchronous endpoint measured, and what follows from it.

All times are seconds since the first job was submitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job.

    Attributes:
        audio_s: Length of its recording; None when nobody said.
        took_s: From submission to the end; None for a job that had not ended.
        failure: Why it failed; empty for one that did not.
    """

    name: str
    audio_s: float | None
    submitted_s: float
    took_s: float | None
    failure: str

    @property
    def ended_s(self) -> float | None:
        """When it ended."""
        return None if self.took_s is None else self.submitted_s + self.took_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What DescribeEndpoint said: instances in service, and as many as there shall be."""

    at_s: float
    instances: int
    wanted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a metric, at the beginning of its period."""

    at_s: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Half a minute of the endpoint's: what was so at its end, and what happened within."""

    from_s: float
    to_s: float
    instances: int
    backlog: int
    done: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """A load test.

    Attributes:
        title: What was measured, for headings.
        command: The command that did.
        begun: When, ISO 8601.
        minute_s: How long a minute of the endpoint's scaling lasts: 60 at AWS, less in the emulator.
        metrics: Points from CloudWatch by the name of the metric.
    """

    title: str
    command: str
    begun: str
    endpoint: str
    minute_s: float
    jobs: tuple[JobRecord, ...]
    samples: tuple[Sample, ...]
    metrics: Mapping[str, tuple[Point, ...]]

    @property
    def interval_s(self) -> float:
        """Half a minute: a row of the table, a bar of the picture."""
        return self.minute_s / 2

    @property
    def until_s(self) -> float:
        """The end of the last job, or the last sample when some had not ended."""
        ends = [job.ended_s for job in self.jobs if job.ended_s is not None]
        last = [sample.at_s for sample in self.samples] if len(ends) < len(self.jobs) else []
        return max([*ends, *last], default=0.0)

    @property
    def times_s(self) -> list[float]:
        """How long the jobs with a transcript took, ascending."""
        return sorted(job.took_s for job in self.jobs if job.took_s is not None and not job.failure)

    def backlog(self, at_s: float) -> int:
        """Jobs that were submitted and had not ended at a time."""
        return sum(job.submitted_s <= at_s and (job.ended_s is None or job.ended_s > at_s) for job in self.jobs)

    def instances(self, at_s: float) -> int:
        """Instances in service at a time."""
        before = [sample.instances for sample in self.samples if sample.at_s <= at_s]
        return before[-1] if before else self.samples[0].instances if self.samples else 0

    def intervals(self) -> list[Interval]:
        """Cut the test into half minutes; the last one is as long as the others."""
        step_s = self.interval_s
        return [self._interval(number * step_s, step_s) for number in range(max(1, math.ceil(self.until_s / step_s)))]

    def _interval(self, from_s: float, step_s: float) -> Interval:
        to_s = from_s + step_s
        ended = [job for job in self.jobs if job.ended_s is not None and from_s < job.ended_s <= to_s]
        if from_s == 0:
            ended += [job for job in self.jobs if job.ended_s == 0]
        failed = sum(bool(job.failure) for job in ended)
        return Interval(
            from_s=from_s,
            to_s=to_s,
            instances=self.instances(to_s),
            backlog=self.backlog(to_s),
            done=len(ended) - failed,
            failed=failed,
        )


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the least value that at least this share of all values do not exceed (nearest rank).

    Example:
        >>> quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.9)
        (2, 4)
    """
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]
