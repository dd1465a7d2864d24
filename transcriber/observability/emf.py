"""CloudWatch's embedded metric format: a log line that is a metric too.

CloudWatch Logs makes metrics of every JSON line whose `_aws` says which of the line's own fields are some. No network,
no IAM: whoever reads the container's stdout into CloudWatch, as SageMaker does, is all that it takes.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypedDict

from transcriber.errors import Busy
from transcriber.observability.accounts import ABANDONED, ANSWERED

Unit = Literal["Count", "Seconds"]

COUNTS = ("requests", "answered", "abandoned", "refused", "shed", "failed")
"""1 or 0 in each line: their sums are what happened, their averages are rates."""

ANSWERED_UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        "total_s": "Seconds",
        "audio_s": "Seconds",
        "speech_s": "Seconds",
        "queue_wait_s": "Seconds",
        "device_s": "Seconds",
        "mean_batch": "Count",
        "fallbacks": "Count",
    }
)
"""Of requests that were answered only: a refusal after a millisecond would spoil every average."""

HOUSE_UNITS: Mapping[str, Unit] = MappingProxyType(
    {"in_flight": "Count", "waiting_windows": "Count", "waiting_audio_s": "Seconds"}
)
START_UNITS: Mapping[str, Unit] = MappingProxyType({"cold_start_s": "Seconds"})


class MetricDefinition(TypedDict):
    """A field of the line that is a metric."""

    Name: str
    Unit: Unit


class MetricDirective(TypedDict):
    """Which fields are metrics of which namespace."""

    Namespace: str
    Dimensions: list[list[str]]
    Metrics: list[MetricDefinition]


class Metadata(TypedDict):
    """What CloudWatch looks for in a line; `Timestamp` in milliseconds since 1970."""

    Timestamp: int
    CloudWatchMetrics: list[MetricDirective]


def metadata(units: Mapping[str, Unit], *, namespace: str, now_s: float) -> Metadata:
    """Return the value of `_aws` for a line that has all fields of `units`, as numbers.

    There are no dimensions, so that a metric is one metric: the namespace is the endpoint's own.
    """
    definitions = [MetricDefinition(Name=name, Unit=unit) for name, unit in units.items()]
    directive = MetricDirective(Namespace=namespace, Dimensions=[[]], Metrics=definitions)
    return Metadata(Timestamp=round(now_s * 1000), CloudWatchMetrics=[directive])


def counts(outcome: str, *, is_ours: bool) -> dict[str, int]:
    """Return what a request with this outcome counts as: 1 for `requests`, and for one of the others."""
    ends = {ANSWERED: "answered", ABANDONED: "abandoned", Busy.slug: "shed"}
    end = ends.get(outcome, "failed" if is_ours else "refused")
    return {name: int(name in {"requests", end}) for name in COUNTS}


def units_of(outcome: str) -> Mapping[str, Unit]:
    """Return which fields of a request's line are metrics."""
    always: dict[str, Unit] = {**dict.fromkeys(COUNTS, "Count"), **HOUSE_UNITS}
    return {**always, **ANSWERED_UNITS} if outcome == ANSWERED else always
