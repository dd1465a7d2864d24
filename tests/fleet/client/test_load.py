"""A load test against an endpoint that is scripted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.client.batches import Patience, looker_for
from fleet.client.errors import CannotCall
from fleet.client.keeping import Keeper
from fleet.client.load import Observed, Watch, record_of
from fleet.client.load_record import LoadRecord, Point, Sample
from fleet.client.recordings import S3Object
from tests.fleet.client.cloud import ENDPOINT, REGION, Cloud
from tests.fleet.client.fakes import BEGUN_S, Theatre, refusal


class CloudWatch:
    """Metrics with a point for each, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []

    def get_paginator(self, _operation: str) -> CloudWatch:
        return self

    def paginate(self, **asked: Any) -> list[dict[str, Any]]:
        self.asked.append(asked)
        first = [{"Id": "m0", "Timestamps": [moment(0), moment(60)], "Values": [3.0, 2.0]}]
        return [{"MetricDataResults": first}, {"MetricDataResults": [{"Id": "m1", "Timestamps": [], "Values": []}]}]


def moment(after_s: float) -> datetime:
    return datetime.fromtimestamp(BEGUN_S + after_s, tz=UTC)


def observed(cloud: Cloud, metrics: CloudWatch | None = None, minute_s: float = 60.0) -> Observed:
    def client(service: str) -> Any:
        return metrics if service == "cloudwatch" else cloud

    return Observed(client=client, endpoint=ENDPOINT, region=REGION, minute_s=minute_s)


def measure(cloud: Cloud, folder: Path, patience_s: float = 1000.0) -> tuple[LoadRecord, str]:
    theatre = cloud.theatre
    batch = cloud.batch(folder)
    jobs = batch.submit([S3Object("in", "monday.mp3")] * 4)
    keeper = Keeper(s3=cloud.s3, region=REGION, folder=None)
    watch = Watch(observed=observed(cloud), keeper=keeper, tell=theatre.told.append, now=theatre.clock)
    looker = looker_for(batch.desk, None, theatre.stage)
    rounds = batch.wait(jobs, looker, Patience(every_s=5, patience_s=patience_s))
    outcomes, samples, broken = watch.follow(jobs, rounds)
    return record_of(jobs, outcomes, title="T", command="c", minute_s=60, samples=samples, metrics={}), broken


def test_jobs_and_instances_are_followed_until_all_have_ended(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.answer = lambda number: (number != 2, b'{"text": "Ja.", "duration": 30}' if number != 2 else b"no audio")
    record, broken = measure(cloud, tmp_path)

    assert [(job.took_s, job.audio_s, job.failure) for job in record.jobs] == [
        (10.0, 30.0, ""),
        (20.0, None, "no audio"),
        (30.0, 30.0, ""),
        (40.0, 30.0, ""),
    ]
    assert record.samples[-1] == Sample(at_s=40.0, instances=1, wanted=2)
    assert broken == ""
    assert theatre.told == [
        "  0:00  instances 1 of 2  backlog   4  ended +0",
        "  0:30  instances 1 of 2  backlog   1  ended +3",
        "  0:40  instances 1 of 2  backlog   0  ended +1",
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [(KeyboardInterrupt(), "interrupted"), (refusal("DescribeEndpoint", "AccessDenied"), "sagemaker:DescribeEndpoint")],
)
def test_what_was_measured_until_it_broke_off_is_kept(
    fault: BaseException, words: str, cloud: Cloud, theatre: Theatre, tmp_path: Path
) -> None:
    theatre.clock.at(20, lambda: setattr(cloud, "description", fault))
    record, broken = measure(cloud, tmp_path)

    assert words in broken
    assert [job.took_s for job in record.jobs] == [10.0, 20.0, None, None]


def test_metrics_are_asked_for_by_the_minute_under_their_own_dimensions(cloud: Cloud) -> None:
    metrics = CloudWatch()
    found = observed(cloud, metrics).metrics(BEGUN_S + 5, BEGUN_S + 100)

    assert found == {"ApproximateBacklogSize": (Point(at_s=-5.0, value=3.0), Point(at_s=55.0, value=2.0))}
    (asked,) = metrics.asked
    stats = {one["MetricStat"]["Metric"]["MetricName"]: one["MetricStat"] for one in asked["MetricDataQueries"]}
    assert asked["StartTime"] == moment(0)
    assert {stat["Period"] for stat in stats.values()} == {60}
    assert [one["Name"] for one in stats["ApproximateBacklogSize"]["Metric"]["Dimensions"]] == ["EndpointName"]
    assert [one["Name"] for one in stats["TimeInBacklog"]["Metric"]["Dimensions"]] == ["EndpointName", "VariantName"]


def test_an_endpoint_that_is_not_there_is_told_at_the_first_look(cloud: Cloud) -> None:
    cloud.description = refusal("DescribeEndpoint", "ValidationException", 'Could not find endpoint "arn".')

    with pytest.raises(CannotCall, match="takes no calls in eu-central-1"):
        observed(cloud).sample(0.0)
