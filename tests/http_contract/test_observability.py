"""What a running container tells: one line for each request, and metrics that say the same as the lines."""

from __future__ import annotations

import base64
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import create
from inference import ModelService
from tests.conftest import DATA
from tests.http_contract.conftest import BUCKET, WITHIN_S, Answer, Server, line_of, start, stop, wait_ready
from tests.observability.conftest import lines
from tests.observability.test_emf import check_embedded
from tests.patience import wait_until
from transcriber.audio.disk import Disk
from transcriber.errors import DeviceFault
from transcriber.observability.accounts import STEPS
from transcriber.settings import Settings
from transcriber.transcript import Segment

__all__ = ["lines"]

SHORT, LONG = (DATA.joinpath(name).read_bytes() for name in ("en-two-phrases.mp3", "two-minutes.flac"))
JSON_LINES = {"Accept": "application/jsonlines"}
ID = "X-Amzn-SageMaker-Inference-Id"
LIMITS = {"MAX_REQUESTS_IN_FLIGHT": "2", "EMF_NAMESPACE": "SpeechToText/test", "S3_MAX_ATTEMPTS": "1"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, s3_url: str) -> Iterator[Server]:
    """A server of our own: nobody else's requests are counted."""
    running = start(tmp_path_factory.mktemp("told"), S3_ENDPOINT_URL=s3_url, **LIMITS)
    wait_ready(running)
    yield running
    stop(running)


def samples(server: Server) -> dict[tuple[str, ...], float]:
    answer = server.send(method="GET", path="/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


def is_idle(shown: dict[tuple[str, ...], float]) -> bool:
    return shown[("stt_waiting_windows",)] == shown[("stt_running_batches",)] == 0


def send(server: Server, body: bytes, name: str, **headers: str) -> tuple[Answer, dict[str, Any]]:
    answer = server.send(body, {ID: name, **headers})
    return answer, line_of(server, name)


def leave(server: Server, name: str, *, after_first_record: bool) -> dict[str, Any]:
    """Send a recording and close the connection before the answer is out."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
    connection.request("POST", "/invocations", LONG, {ID: name, **(JSON_LINES if after_first_record else {})})
    if after_first_record:
        with connection.getresponse() as answer:
            assert json.loads(answer.readline())["type"] == "segment"
    connection.close()
    return line_of(server, name)


def test_metrics_and_lines_say_the_same_of_every_kind_of_request(told: Server, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a secret customer.mp3", Body=SHORT)
    inline = json.dumps({"audio_b64": base64.b64encode(SHORT).decode(), "response_format": "srt"}).encode()
    before = samples(told)
    is_json = {"Content-Type": "application/json"}
    document = {"s3_uri": f"s3://{BUCKET}/a secret customer.mp3"}
    missing = {"s3_uri": f"s3://{BUCKET}/another secret.mp3"}

    answered = [
        send(told, SHORT, "body"),
        send(told, inline, "inline", **is_json),
        send(told, json.dumps(document).encode(), "object", **is_json),
        send(told, LONG, "stream", **JSON_LINES),
    ]
    refused = [
        send(told, b"no sound at all" * 50, "noise"),
        send(told, json.dumps(missing).encode(), "missing", **is_json),
        send(told, b"{", "broken", **is_json),
    ]
    refused.append((told.send(b"", {ID: "nowhere"}, path="/nowhere"), line_of(told, "nowhere")))
    gone = [leave(told, "left-early", after_first_record=False), leave(told, "left-late", after_first_record=True)]
    after = samples(told)

    def rise(*sample: str) -> float:
        return after[sample] - before[sample]

    told_lines = [line for _answer, line in answered + refused] + gone
    assert [line["outcome"] for line in told_lines] == [
        *["ok"] * 4,
        "not_audio",
        "source_not_found",
        "malformed_request",
        "not_found",
        "client_gone",
        "client_gone",
    ]
    assert [line["source"] for line in told_lines] == [
        *("body", "inline", "s3", "body"),
        *("body", "s3", "none", "none"),
        *("body", "body"),
    ]
    risen = {name[1:]: rise(*name) for name in after if name[0] == "stt_requests_total" and rise(*name)}
    assert risen == Counter((line["outcome"], line["source"]) for line in told_lines)

    assert all(set(line) == set(told_lines[0]) or line["outcome"] != "ok" for line in told_lines)
    for answer, line in answered + refused:
        assert (line["status"], line["answer_bytes"]) == (answer.status, len(answer.body))
        assert line["client_gone"] is False
    assert [line["streamed"] for line in told_lines] == [False] * 3 + [True] + [False] * 5 + [True]
    assert all(len(check_embedded(line)) >= 9 for line in told_lines)
    assert "secret" not in told.log.read_text("utf-8")

    def total(field: str) -> Any:
        return pytest.approx(sum(line[field] for line in told_lines), abs=1e-3)

    assert rise("stt_audio_seconds_total") == total("audio_s")
    assert rise("stt_speech_seconds_total") == total("speech_s")
    assert rise("stt_audio_bytes_total") == total("audio_bytes")
    assert rise("stt_windows_total") == total("windows")
    assert rise("stt_fallbacks_total") == total("fallbacks")
    for step, field in STEPS.items():
        assert rise("stt_step_seconds_total", step) == total(field)
    assert rise("stt_streamed_requests_total") == 2
    assert rise("stt_request_seconds_count") == 4
    assert rise("stt_request_seconds_sum") == pytest.approx(
        sum(line["total_s"] for _answer, line in answered), abs=1e-3
    )


def test_the_model_is_busy_for_as_long_as_its_requests_say(told: Server) -> None:
    wait_until(lambda: is_idle(samples(told)))  # those who left may have a batch that runs
    before = samples(told)
    found = [send(told, LONG, f"busy-{number}")[1] for number in range(2)]
    after = samples(told)

    assert after[("stt_device_busy_seconds_total",)] - before[("stt_device_busy_seconds_total",)] == pytest.approx(
        sum(line["device_s"] for line in found), abs=1e-3
    )
    tries = sum(line["windows"] + line["fallbacks"] for line in found)
    assert after[("stt_batch_windows_sum",)] - before[("stt_batch_windows_sum",)] == tries
    assert after[("stt_queue_wait_seconds_count",)] - before[("stt_queue_wait_seconds_count",)] == tries
    assert all(1 <= line["mean_batch"] <= line["largest_batch"] for line in found)


def test_metrics_are_answered_when_nobody_else_is_let_in(told: Server) -> None:
    before = samples(told)
    callers = [http.client.HTTPConnection("127.0.0.1", told.port, timeout=WITHIN_S) for _ in range(2)]
    for number, caller in enumerate(callers):
        caller.putrequest("POST", "/invocations")
        caller.putheader("Content-Length", str(len(SHORT)))
        caller.putheader(ID, f"slow-{number}")
        caller.endheaders(SHORT[:100])
    wait_until(lambda: samples(told)[("stt_requests_in_flight",)] == 2)
    shed, line = send(told, SHORT, "shed")
    full = samples(told)
    for number, caller in enumerate(callers):
        caller.send(SHORT[100:])
        assert caller.getresponse().status == 200
        caller.close()
        line_of(told, f"slow-{number}")

    assert (shed.status, line["outcome"], line["source"], line["shed"]) == (503, "busy", "none", 1)
    assert line["in_flight"] == 2
    assert full[("stt_requests_in_flight_limit",)] == 2
    assert full[("stt_shed_requests_total",)] - before[("stt_shed_requests_total",)] == 1
    assert samples(told)[("stt_requests_in_flight",)] == 0


def test_looking_is_not_counted(told: Server) -> None:
    wait_until(lambda: is_idle(samples(told)))  # those who left may have a batch that runs
    before = samples(told)
    log = told.log.read_text("utf-8")
    for method, path in (("GET", "/ping"), ("POST", "/ping"), ("GET", "/metrics"), ("GET", "/execution-parameters")):
        assert told.send(method=method, path=path).status == 200
    after = samples(told)

    assert {name: value for name, value in after.items() if name[0].startswith("stt_")} == {
        name: value for name, value in before.items() if name[0].startswith("stt_")
    }
    assert told.log.read_text("utf-8") == log


def test_the_start_is_told_once(told: Server) -> None:
    (line,) = [entry for entry in told.entries() if entry["event"] == "first healthy ping"]
    shown = samples(told)
    marks = {name[1]: value for name, value in shown.items() if name[0] == "stt_start_seconds"}

    assert {f"{mark}_after_s": value for mark, value in marks.items()} == {
        name: value for name, value in line.items() if name.endswith("_after_s")
    }
    assert list(marks.values()) == sorted(marks.values())
    assert list(marks)[-1] == "first_healthy_ping"
    assert shown[("stt_model_load_seconds",)] == pytest.approx(marks["loaded"] - marks["model_found"])
    assert shown[("stt_ready",)] == 1
    assert 0 < shown[("stt_server_age_seconds",)] < WITHIN_S
    assert check_embedded(line) == {"cold_start_s"}


class Slipping:
    """A service that fails in a way that nobody foresaw, at once or in the middle of a stream."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure
        self.disk = Disk(1_000_000)

    @contextmanager
    def admit(self) -> Iterator[None]:
        yield

    def transcribe(self, *_: object, **__: object) -> None:
        raise self.failure

    def stream(self, *_: object, **__: object) -> Iterator[Segment]:
        yield Segment(start_s=0, end_s=1, text=" good morning")
        raise self.failure


@pytest.mark.parametrize(
    ("failure", "outcome", "event"),
    [
        (KeyError("a slip of ours"), "internal_error", "request failed"),
        (DeviceFault("the device failed"), "device_fault", "request refused"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_failure_of_ours_has_one_line_too(
    failure: Exception, outcome: str, event: str, streamed: bool, lines: list[dict[str, Any]]
) -> None:
    client = create(Settings(), cast("ModelService", Slipping(failure))).test_client()

    answer = client.post("/invocations", data=b"RIFF", headers=JSON_LINES if streamed else {})
    answer.get_data()
    answer.close()

    (line,) = lines
    assert (line["event"], line["level"], line["outcome"]) == (event, "ERROR", outcome)
    assert (line["status"], line["streamed"]) == (200 if streamed else 500, streamed)
    assert ("a slip of ours" in line.get("stack", "")) is (outcome == "internal_error")
    page = client.get("/metrics").get_data(as_text=True)
    assert f'stt_requests_total{{outcome="{outcome}",source="body"}} 1.0' in page


def test_metrics_are_served_while_the_model_loads() -> None:
    """The service is never started: it loads for ever."""
    from transcriber.observability.timeline import Timeline

    client = create(Settings(), ModelService(Settings(), timeline=Timeline())).test_client()
    assert client.get("/ping").status_code == 503

    page = client.get("/metrics")
    assert page.status_code == 200
    assert "stt_ready 0.0" in page.get_data(as_text=True)
