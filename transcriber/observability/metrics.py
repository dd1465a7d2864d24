"""Every metric, defined once: what `GET /metrics` shows to Prometheus.

docs/metrics.md has a line for each of them. Labels come from closed sets, so that the page never grows. What happens in
one go is counted as it ends; what is true at the moment (`Occupancy`) is asked for when the page is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from transcriber.errors import Busy
from transcriber.observability.accounts import (
    ANSWERED,
    OUTCOMES,
    STEPS,
    Account,
    BatchAccount,
    Occupancy,
    SourceKind,
    Step,
)
from transcriber.observability.timeline import MARKS, Timeline, server_age_s

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The text format that every scraper knows."""

LABELS = MappingProxyType(
    {
        "source": frozenset(SourceKind),
        "outcome": OUTCOMES,
        "step": frozenset(Step),
        "mark": frozenset(MARKS),
    }
)
"""Every value that a label can have; the labels of `stt_model_info` have one value each for as long as we run."""

REQUEST_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""From a phrase on the demo model to the hour that an asynchronous endpoint waits; 60 s is where SageMaker's real-time
invocations end."""

WAIT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH_BUCKETS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 95)
"""Sizes that MAX_BATCH_WINDOWS can be, up to its end."""


class Metrics:
    """The numbers of one process, from its start on; a worker that replaces another begins at 0 again."""

    def __init__(self, timeline: Timeline) -> None:
        """Set up everything at 0, so that the first of each kind is an increase that can be seen."""
        # They would double the page, to say for each number when this process began.
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
        self.registry = CollectorRegistry()
        self._occupancy: Callable[[], Occupancy] = Occupancy
        self._define_requests()
        self._define_model()
        self._define_house()
        self.registry.register(_Start(timeline))
        ProcessCollector(registry=self.registry)

    def _define_requests(self) -> None:
        self._requests = self._counter("stt_requests", "Requests that ended.", "source", "outcome")
        for source in SourceKind:
            for outcome in sorted(OUTCOMES):
                self._requests.labels(source=source.value, outcome=outcome)
        self._shed = self._counter("stt_shed_requests", "Requests refused because the container is full.")
        self._streamed = self._counter("stt_streamed_requests", "Requests that were answered piece by piece.")
        self._request_seconds = Histogram(
            "stt_request_seconds",
            "From the first byte of a request to the last of its answer, for those that were answered.",
            buckets=REQUEST_BUCKETS_S,
            registry=self.registry,
        )
        self._audio = self._counter("stt_audio_seconds", "Sound that was decoded.")
        self._speech = self._counter("stt_speech_seconds", "Speech that was found in it.")
        self._audio_bytes = self._counter("stt_audio_bytes", "Audio files that were fetched.")
        steps = self._counter("stt_step_seconds", "Time in the steps of requests' own threads.", "step")
        self._steps = {step: steps.labels(step=step.value) for step in Step}
        self._windows = self._counter("stt_windows", "Windows that were read.")
        self._fallbacks = self._counter("stt_fallbacks", "Tries of windows at higher temperatures.")

    def _define_model(self) -> None:
        self._device = self._counter("stt_device_busy_seconds", "Time in batches, summed over the replicas.")
        self._failed_batches = self._counter("stt_failed_batches", "Batches that raised.")
        self._batches = Histogram(
            "stt_batch_windows", "Windows in a batch.", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self._waits = Histogram(
            "stt_queue_wait_seconds",
            "How long a window waited for its batch.",
            buckets=WAIT_BUCKETS_S,
            registry=self.registry,
        )
        self._model = Gauge(
            "stt_model_info",
            "1, with what is loaded as labels.",
            ("model", "engine", "device", "compute_type"),
            registry=self.registry,
        )

    def _define_house(self) -> None:
        self._now("stt_ready", "Whether /ping answers 200.", lambda now: now.is_ready)
        self._now("stt_requests_in_flight", "Requests let in and not yet answered.", lambda now: now.requests)
        self._now("stt_waiting_windows", "Windows that wait for a batch.", lambda now: now.waiting_windows)
        self._now("stt_running_batches", "Batches that the model works on.", lambda now: now.running_batches)
        self._now("stt_waiting_audio_seconds", "Audio let in and not yet read.", lambda now: now.waiting_audio_s)
        self._now("stt_replicas", "Batches that run at the same time.", lambda now: now.replicas)
        self._now("stt_largest_batch_windows", "The most windows in a batch.", lambda now: now.largest_batch)
        self._limit_requests = Gauge(
            "stt_requests_in_flight_limit", "The most requests in flight.", registry=self.registry
        )
        self._limit_waiting = Gauge(
            "stt_waiting_audio_limit_seconds", "The most audio that may wait.", registry=self.registry
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def _now(self, name: str, meaning: str, value: Callable[[Occupancy], float]) -> None:
        Gauge(name, meaning, registry=self.registry).set_function(lambda: value(self._occupancy()))

    def watch(self, occupancy: Callable[[], Occupancy], *, limit_requests: int, limit_waiting_s: float) -> None:
        """Say where to ask how full the house is.

        Args:
            occupancy: Called for each page and each request's line, on any thread; must not wait for anything.
            limit_requests: Requests that may be in flight.
            limit_waiting_s: Seconds of audio that may wait.
        """
        self._occupancy = occupancy
        self._limit_requests.set(limit_requests)
        self._limit_waiting.set(limit_waiting_s)

    def name_model(self, *, model: str, engine: str, device: str, compute_type: str) -> None:
        """Say what has been loaded; the device and the type as they were asked for."""
        self._model.labels(model=model, engine=engine, device=device, compute_type=compute_type).set(1)

    def occupancy(self) -> Occupancy:
        """Return how full the house is now."""
        return self._occupancy()

    def count_request(self, account: Account) -> None:
        """Count a request that has ended."""
        costs = account.costs()
        outcome = account.outcome
        self._requests.labels(source=account.source.value, outcome=outcome).inc()
        if outcome == ANSWERED:
            self._request_seconds.observe(account.total_s)
        if outcome == Busy.slug:
            self._shed.inc()
        if account.is_streamed:
            self._streamed.inc()
        self._audio.inc(costs.audio_s)
        self._speech.inc(costs.speech_s)
        self._audio_bytes.inc(costs.audio_bytes)
        for step, name in STEPS.items():
            self._steps[step].inc(account.render_s if step is Step.RENDER else getattr(costs, name))
        self._windows.inc(costs.windows)
        self._fallbacks.inc(costs.fallbacks)

    def count_batch(self, batch: BatchAccount) -> None:
        """Count a batch that has ended, well or not."""
        self._device.inc(batch.took_s)
        self._batches.observe(batch.windows)
        for wait_s in batch.waits_s:
            self._waits.observe(wait_s)
        if batch.is_failed:
            self._failed_batches.inc()

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format; waits for nobody."""
        return generate_latest(self.registry)


class _Start(Collector):
    """How the process came up, as far as it has."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._server_age_s = server_age_s()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the families; what has not happened yet has no value."""
        marks = self._timeline.marks()
        family = GaugeMetricFamily("stt_start_seconds", "From the start of this process to each mark.", labels=["mark"])
        for mark, seconds in marks.items():
            family.add_metric([mark], seconds)
        yield family
        loaded_s = marks.get("loaded", math.nan) - marks.get("model_found", math.nan)
        yield GaugeMetricFamily("stt_model_load_seconds", "Loading the model; NaN while it loads.", value=loaded_s)
        yield GaugeMetricFamily(
            "stt_server_age_seconds", "How old the server was when this process began.", value=self._server_age_s
        )
