from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from transcriber.observability.accounts import OUTCOMES, Account, BatchAccount, Costs, Occupancy, SourceKind
from transcriber.observability.metrics import BATCH_BUCKETS, LABELS, Metrics
from transcriber.observability.timeline import MARKS, Timeline

MODEL_LABELS = {"model", "engine", "device", "compute_type"}


@pytest.fixture
def metrics() -> Metrics:
    return filled()


def filled() -> Metrics:
    """Metrics that have everything a page can have."""
    timeline = Timeline()
    for mark in MARKS:
        timeline.mark(mark)
    metrics = Metrics(timeline)
    metrics.name_model(model="demo", engine="Whisper", device="cpu", compute_type="int8")
    return metrics


def families(metrics: Metrics) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(metrics.page().decode())}


def value(metrics: Metrics, sample: str, **labels: str) -> float:
    found = [
        one.value
        for family in families(metrics).values()
        for one in family.samples
        if one.name == sample and one.labels == labels
    ]
    assert len(found) == 1, (sample, labels)
    return found[0]


def exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def documented() -> Iterator[tuple[str, str, str, set[str]]]:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8").partition("## `GET /metrics`")[2].partition("\n## ")[0]
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            name, kind, unit, labels, meaning = cells
            assert meaning
            yield name.strip("`"), kind, unit, set(re.findall(r"`(\w+)`", labels))


def test_every_metric_is_documented_with_its_type_and_labels_and_nothing_else_is(metrics: Metrics) -> None:
    shown = {
        exposed(family): (family.type, {label for one in family.samples for label in one.labels} - {"le"})
        for family in families(metrics).values()
    }

    assert {name: (kind, labels) for name, kind, _unit, labels in documented()} == shown


def test_the_documented_unit_is_the_one_in_the_name() -> None:
    rows = list(documented())

    assert rows
    for name, _kind, unit, _labels in rows:
        for word in ("seconds", "bytes", "windows"):
            assert (word in name.split("_")) == (word in unit.split()), name


def test_the_values_of_labels_are_documented() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(source|outcome|step|mark)` \| (.*) \|$", page, flags=re.MULTILINE))

    assert set(rows) == set(LABELS)
    for label in ("source", "step", "mark"):
        assert set(re.findall(r"`(\w+)`", rows[label])) == set(LABELS[label])
    http = (ROOT / "docs" / "http.md").read_text("utf-8")
    codes = {*re.findall(r"`(\w+)`", rows["outcome"]), *re.findall(r"^\| `(\w+)` \| \w+ \| \d", http, re.MULTILINE)}
    assert codes | {"not_found"} == OUTCOMES
    assert "`not_found`" in http


@given(
    accounts=st.lists(
        st.builds(
            Account,
            source=st.sampled_from(SourceKind),
            slug=st.none() | st.text() | st.sampled_from(sorted(OUTCOMES)),
            route=st.text(),
            form=st.text(),
            language=st.text(),
            request_id=st.text(),
            is_gone=st.booleans(),
            is_streamed=st.booleans(),
        ),
        max_size=50,
    )
)
@settings(max_examples=20)
def test_no_request_makes_the_page_longer(accounts: list[Account]) -> None:
    metrics = filled()
    before = [(one.name, *one.labels.items()) for family in families(metrics).values() for one in family.samples]
    for account in accounts:
        metrics.count_request(account)
    after = families(metrics)

    assert [(one.name, *one.labels.items()) for family in after.values() for one in family.samples] == before
    for family in after.values():
        for one in family.samples:
            assert {label: text in LABELS[label] for label, text in one.labels.items() if label in LABELS} == {
                label: True for label in one.labels if label in LABELS
            }
            assert set(one.labels) <= {*LABELS, *MODEL_LABELS, "le"}
    assert sum(one.value for one in after["stt_requests"].samples) == len(accounts)


def test_what_a_request_took_is_added_to_the_counters(metrics: Metrics) -> None:
    costs = Costs(
        audio_bytes=1000,
        audio_s=60.0,
        speech_s=40.0,
        fetch_s=0.5,
        core_wait_s=0.25,
        decode_s=1.0,
        find_speech_s=2.0,
        prepare_s=0.125,
        windows=3,
        fallbacks=2,
    )
    account = Account(source=SourceKind.S3, is_streamed=True, total_s=9.0, render_s=0.75, costs=lambda: costs)
    metrics.count_request(account)
    metrics.count_request(account)

    assert value(metrics, "stt_requests_total", source="s3", outcome="ok") == 2
    assert value(metrics, "stt_streamed_requests_total") == 2
    assert value(metrics, "stt_audio_bytes_total") == 2000
    assert value(metrics, "stt_audio_seconds_total") == 120.0
    assert value(metrics, "stt_speech_seconds_total") == 80.0
    assert value(metrics, "stt_windows_total") == 6
    assert value(metrics, "stt_fallbacks_total") == 4
    assert value(metrics, "stt_request_seconds_sum") == 18.0
    steps = {"fetch": 0.5, "core_wait": 0.25, "decode": 1.0, "find_speech": 2.0, "prepare": 0.125, "render": 0.75}
    assert {step: value(metrics, "stt_step_seconds_total", step=step) / 2 for step in steps} == steps


def test_only_answered_requests_have_a_time_and_only_busy_ones_were_shed(metrics: Metrics) -> None:
    for slug in ("busy", "not_audio", "stopping"):
        metrics.count_request(Account(slug=slug, total_s=1.0))

    assert value(metrics, "stt_request_seconds_count") == 0
    assert value(metrics, "stt_shed_requests_total") == 1


def test_batches_are_counted_well_or_not(metrics: Metrics) -> None:
    metrics.count_batch(BatchAccount(windows=2, took_s=1.5, waits_s=(0.0, 4.0)))
    metrics.count_batch(BatchAccount(windows=1, took_s=0.5, waits_s=(0.0,), is_failed=True))

    assert value(metrics, "stt_device_busy_seconds_total") == 2.0
    assert value(metrics, "stt_batch_windows_count") == 2
    assert value(metrics, "stt_batch_windows_sum") == 3
    assert value(metrics, "stt_failed_batches_total") == 1
    assert value(metrics, "stt_queue_wait_seconds_count") == 3
    assert value(metrics, "stt_queue_wait_seconds_bucket", le="2.5") == 2


def test_every_size_of_a_batch_has_a_bucket() -> None:
    from transcriber.settings import Settings

    most = Settings.model_fields["max_batch_windows"].metadata
    assert max(BATCH_BUCKETS) == max(bound.le for bound in most if hasattr(bound, "le"))


def test_how_full_the_house_is_is_asked_when_the_page_is(metrics: Metrics) -> None:
    now = Occupancy()
    metrics.watch(lambda: now, limit_requests=64, limit_waiting_s=28800.0)
    assert value(metrics, "stt_ready") == 0
    now = Occupancy(
        is_ready=True,
        requests=3,
        waiting_windows=7,
        running_batches=1,
        waiting_audio_s=99.5,
        replicas=2,
        largest_batch=8,
    )

    assert value(metrics, "stt_ready") == 1
    assert value(metrics, "stt_requests_in_flight") == 3
    assert value(metrics, "stt_requests_in_flight_limit") == 64
    assert value(metrics, "stt_waiting_windows") == 7
    assert value(metrics, "stt_running_batches") == 1
    assert value(metrics, "stt_waiting_audio_seconds") == 99.5
    assert value(metrics, "stt_waiting_audio_limit_seconds") == 28800.0
    assert value(metrics, "stt_replicas") == 2
    assert value(metrics, "stt_largest_batch_windows") == 8


def test_the_start_is_shown_as_far_as_it_has_come() -> None:
    now_s = 10.0
    timeline = Timeline(clock=lambda: now_s, began_s=8.0)
    metrics = Metrics(timeline)
    timeline.mark("model_found")
    assert value(metrics, "stt_start_seconds", mark="model_found") == 2.0
    assert math.isnan(value(metrics, "stt_model_load_seconds"))
    now_s = 15.0
    timeline.mark("loaded")

    assert value(metrics, "stt_start_seconds", mark="loaded") == 7.0
    assert value(metrics, "stt_model_load_seconds") == 5.0
    assert len(families(metrics)["stt_start_seconds"].samples) == 2
