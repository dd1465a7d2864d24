"""A load test: many jobs at once, and a look at the endpoint now and then until all have ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet import platform
from fleet.client.aws import Clients, asking
from fleet.client.errors import CannotCall
from fleet.client.jobs import Job
from fleet.client.keeping import Keeper, Outcome
from fleet.client.load_record import JobRecord, LoadRecord, Point, Sample
from fleet.client.tables import clock_text
from fleet.client.waiting import End

METRICS = {
    "ApproximateBacklogSize": "Average",
    "InvocationsProcesssed": "Sum",
    "InvocationFailures": "Sum",
    "TimeInBacklog": "Maximum",
    "TotalProcessingTime": "Maximum",
}
"""From names of metrics to the statistic that is asked for (dg/async-inference-monitor.html)."""

OF_THE_ENDPOINT = frozenset({"ApproximateBacklogSize"})
"""Metrics with the dimension EndpointName only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """An endpoint that is looked at.

    Attributes:
        client: boto3's clients.
        minute_s: How long a minute of its scaling lasts: 60 at AWS, where that is the period of its metrics.
    """

    client: Clients
    endpoint: str
    region: str
    minute_s: float

    def sample(self, at_s: float) -> Sample:
        """Count its instances.

        Raises:
            CannotCall: SageMaker refuses.
        """
        variant = self._variant()
        instances = int(variant.get("CurrentInstanceCount", 0))
        return Sample(at_s=at_s, instances=instances, wanted=int(variant.get("DesiredInstanceCount", instances)))

    def metrics(self, from_s: float, to_s: float) -> dict[str, tuple[Point, ...]]:
        """Ask CloudWatch for what it knows of a time.

        Args:
            from_s: Its beginning, seconds since 1970; the points count from there.
            to_s: Its end.

        Raises:
            CannotCall: CloudWatch refuses.
        """
        period_s = max(1, round(self.minute_s))
        start_s = from_s // period_s * period_s
        variant = self._variant()["VariantName"]
        queries = [self._query(number, name, variant, period_s) for number, name in enumerate(METRICS)]
        found: dict[str, list[Point]] = {}
        with asking(self.region, about="CloudWatch's metrics"):
            pages = (
                self.client("cloudwatch")
                .get_paginator("get_metric_data")
                .paginate(
                    MetricDataQueries=queries,
                    StartTime=datetime.fromtimestamp(start_s, tz=UTC),
                    EndTime=datetime.fromtimestamp(to_s + period_s, tz=UTC),
                    ScanBy="TimestampAscending",
                )
            )
            for page in pages:
                for result in page["MetricDataResults"]:
                    name = list(METRICS)[int(result["Id"].removeprefix("m"))]
                    found.setdefault(name, []).extend(_points(result, from_s))
        return {name: tuple(points) for name, points in found.items() if points}

    def _query(self, number: int, name: str, variant: str, period_s: int) -> Mapping[str, object]:
        dimensions = [{"Name": "EndpointName", "Value": self.endpoint}]
        if name not in OF_THE_ENDPOINT:
            dimensions.append({"Name": "VariantName", "Value": variant})
        metric = {"Namespace": platform.METRICS_NAMESPACE, "MetricName": name, "Dimensions": dimensions}
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": period_s, "Stat": METRICS[name]}}

    def _variant(self) -> Mapping[str, Any]:
        with asking(self.region, about=f"the endpoint {self.endpoint}"):
            found = self.client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
        variant: Mapping[str, Any] = found["ProductionVariants"][0]
        return variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Follows jobs to their ends and the endpoint beside them.

    Attributes:
        observed: The endpoint.
        keeper: Fetches what jobs left.
        tell: Hears one line for each sample.
        now: Seconds since 1970.
    """

    observed: Observed
    keeper: Keeper
    tell: Callable[[str], None]
    now: Callable[[], float]

    def follow(self, jobs: Sequence[Job], rounds: Iterator[list[End]]) -> tuple[list[Outcome], list[Sample], str]:
        """Wait for the jobs; return what ended, what was seen, and what broke it off, if something did."""
        begun_s = jobs[0].submitted_s
        outcomes: list[Outcome] = []
        samples: list[Sample] = []
        told = 0
        next_s = 0.0
        try:
            samples.append(self.observed.sample(0.0))
            for ends in rounds:
                outcomes += self.keeper.keep(ends)
                at_s = self.now() - begun_s
                samples.append(self.observed.sample(at_s))
                if at_s >= next_s or len(outcomes) == len(jobs):
                    left = len(jobs) - len(outcomes)
                    new, told = len(outcomes) - told, len(outcomes)
                    self.tell(f"{clock_text(at_s):>6}  {_instances(samples[-1])}  backlog {left:3}  ended {new:+d}")
                    next_s = at_s + self.observed.minute_s / 2
        except CannotCall as error:
            return outcomes, samples, str(error)
        except KeyboardInterrupt:
            return outcomes, samples, "interrupted"
        return outcomes, samples, ""


def record_of(
    jobs: Sequence[Job],
    outcomes: Sequence[Outcome],
    *,
    title: str,
    command: str,
    minute_s: float,
    samples: Sequence[Sample],
    metrics: Mapping[str, tuple[Point, ...]],
) -> LoadRecord:
    """Put together what was measured; `jobs` is not empty."""
    begun_s = jobs[0].submitted_s
    by_name = {outcome.job.name: outcome for outcome in outcomes}
    return LoadRecord(
        title=title,
        command=command,
        begun=datetime.fromtimestamp(begun_s, tz=UTC).isoformat(timespec="seconds"),
        endpoint=jobs[0].endpoint,
        minute_s=minute_s,
        jobs=tuple(_job(job, by_name.get(job.name), begun_s) for job in jobs),
        samples=tuple(samples),
        metrics=metrics,
    )


def _job(job: Job, outcome: Outcome | None, begun_s: float) -> JobRecord:
    return JobRecord(
        name=job.name,
        audio_s=outcome.facts.duration_s if outcome and outcome.facts else None,
        submitted_s=round(job.submitted_s - begun_s, 3),
        took_s=round(outcome.ending.took_s, 3) if outcome else None,
        failure=outcome.failure if outcome else "",
    )


def _points(result: Mapping[str, Any], from_s: float) -> list[Point]:
    return [
        Point(at_s=round(moment.timestamp() - from_s, 3), value=value)
        for moment, value in zip(result["Timestamps"], result["Values"], strict=True)
    ]


def _instances(sample: Sample) -> str:
    coming = f" of {sample.wanted}" if sample.wanted != sample.instances else ""
    return f"instances {sample.instances}{coming}"
