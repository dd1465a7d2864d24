"""The metrics that SageMaker publishes about an endpoint, gathered until the next publication."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from fleet import platform

BY_ENDPOINT = frozenset(
    {
        "ApproximateBacklogSize",
        "ApproximateBacklogSizePerInstance",
        "ApproximateAgeOfOldestRequest",
        "HasBacklogWithoutCapacity",
    }
)
"""Metrics with the dimension EndpointName only; all others have VariantName as well."""

UNITS: dict[str, Literal["Microseconds", "Milliseconds", "Seconds"]] = {
    "ModelLatency": "Microseconds",
    "OverheadLatency": "Microseconds",
    "FirstChunkLatency": "Microseconds",
    "RequestDownloadLatency": "Milliseconds",
    "ResponseUploadLatency": "Milliseconds",
    "TimeInBacklog": "Milliseconds",
    "TotalProcessingTime": "Milliseconds",
    "ApproximateAgeOfOldestRequest": "Seconds",
}
"""Microseconds for real-time latencies, milliseconds for the stages of an asynchronous invocation."""


@dataclass(slots=True)
class Meter:
    """Values of one endpoint's metrics since they were last published; safe for several threads."""

    endpoint_name: str
    variant_name: str
    _values: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, value: float = 1.0) -> None:
        """Note one value."""
        with self._lock:
            self._values.setdefault(name, []).append(value)

    def take(self, *, now: dt.datetime) -> list[dict[str, Any]]:
        """Return what was noted as the data of PutMetricData, and forget it."""
        with self._lock:
            values, self._values = self._values, {}
        return [datum for name, seen in values.items() for datum in self._data(name, seen, now)]

    def _data(self, name: str, seen: list[float], now: dt.datetime) -> Iterator[dict[str, Any]]:
        dimensions = [{"Name": "EndpointName", "Value": self.endpoint_name}]
        if name not in BY_ENDPOINT:
            dimensions.append({"Name": "VariantName", "Value": self.variant_name})
        for start in range(0, len(seen), 150):  # PutMetricData takes 150 values to a datum
            yield {
                "MetricName": name,
                "Dimensions": dimensions,
                "Timestamp": now,
                "Values": seen[start : start + 150],
                "Unit": UNITS.get(name, "Count"),
            }


def publish(client: Any, meter: Meter) -> None:  # noqa: ANN401 - boto3's clients have no types of their own
    """Send what a meter has noted to CloudWatch."""
    data = meter.take(now=dt.datetime.now(tz=dt.UTC))
    for start in range(0, len(data), 100):
        client.put_metric_data(Namespace=platform.METRICS_NAMESPACE, MetricData=data[start : start + 100])
