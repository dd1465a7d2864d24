"""What breaks, and who notices: only those whom it concerns."""

from __future__ import annotations

import http.client
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from flask.testing import FlaskClient

from app import create
from inference import ModelService, _Loaded
from tests.conftest import DATA
from tests.http_contract.conftest import Server, start, stop, wait_ready
from tests.patience import wait_until
from tests.test_inference import FakeEars, FakeEngine, LongFile
from transcriber.engines.base import Window
from transcriber.errors import DeviceFault
from transcriber.observability.timeline import Timeline
from transcriber.scheduling.scheduler import Scheduler
from transcriber.settings import Settings
from transcriber.wire.caller import Caller

CLIP = (DATA / "en-one-phrase.wav").read_bytes()
WAIT_S = 30.0
LEFT = ("client_gone", "INFO")
"""A caller who left is no failure of ours."""


def wav(seconds: int) -> bytes:
    return LongFile(seconds).read(10**9)


Served = Callable[[FakeEngine], tuple[FlaskClient, ModelService]]


@pytest.fixture
def served() -> Iterator[Served]:
    """The application in front of a fake model."""
    services = []

    def make(engine: FakeEngine) -> tuple[FlaskClient, ModelService]:
        service = ModelService(Settings(), timeline=Timeline())
        scheduler: Scheduler[Any] = Scheduler(engine, clock=service._clock)
        scheduler.start()
        service._loaded = _Loaded(engine, scheduler)
        service._speech = cast("Any", FakeEars())
        services.append(service)
        return create(Settings(), service).test_client(), service

    yield make
    for service in services:
        service.close()


@pytest.mark.parametrize(
    ("asked", "status", "is_heard_out"),
    [
        ({"data": CLIP}, 200, False),
        ({"data": {"file": (io.BytesIO(CLIP), "clip.wav")}}, 200, False),
        ({"data": b"{no json", "content_type": "application/json"}, 400, False),
        ({"data": {"language": "en"}, "content_type": "multipart/form-data"}, 400, False),
        ({"data": CLIP, "path": "/v1/audio/transcriptions"}, 400, True),
        ({"data": CLIP, "path": "/nowhere"}, 404, True),
        ({"method": "GET", "path": "/ping"}, 200, False),
    ],
)
def test_only_bodies_that_were_left_are_heard_out(
    served: Served, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], status: int, is_heard_out: bool
) -> None:
    """It takes a thread each time."""
    heard: list[object] = []
    monkeypatch.setattr(Caller, "hear_out", lambda _caller, body: heard.append(body))
    client, _service = served(FakeEngine())
    answer = client.open(**({"method": "POST", "path": "/invocations"} | asked))

    assert answer.status_code == status, answer.text
    assert bool(heard) == is_heard_out


def test_a_device_that_is_lost_answers_everybody_at_once_and_ping_says_so(served: Served) -> None:
    hold, began = threading.Event(), threading.Event()

    def look_on(_window: Window) -> None:
        began.set()
        hold.wait(WAIT_S)
        raise DeviceFault("the device does not work any more", fatal=True)

    client, service = served(FakeEngine(look_on=look_on))
    assert client.get("/ping").status_code == 200
    with ThreadPoolExecutor(4) as callers:
        waiting = [callers.submit(client.post, "/invocations", data=wav(20)) for _ in range(4)]
        assert began.wait(WAIT_S)
        hold.set()
        answers = [future.result(WAIT_S) for future in waiting]

    assert {answer.status_code for answer in answers} == {500}
    assert {answer.get_json()["code"] for answer in answers} == {"device_fault"}
    for method in (client.get, client.post):
        assert (method("/ping").status_code, method("/ping").data) == (503, b"")
    late = client.post("/invocations", data=wav(20))
    assert (late.status_code, late.get_json()["code"]) == (500, "device_fault")
    assert service.disk.used_bytes == 0


def test_a_device_without_memory_for_a_batch_goes_on_with_smaller_ones(served: Served) -> None:
    class Small(FakeEngine):
        def transcribe(self, batch: Any) -> Any:
            if len(batch) > 1:
                raise DeviceFault("the device has not enough memory for this batch", out_of_memory=True)
            return super().transcribe(batch)

    client, _service = served(Small())
    with ThreadPoolExecutor(4) as callers:
        answers = list(callers.map(lambda _: client.post("/invocations", data=wav(60)), range(4)))

    assert {answer.status_code for answer in answers} == {200}
    assert client.get("/ping").status_code == 200


def test_only_the_request_whose_window_fails_its_batch_fails(served: Served) -> None:
    poison = len(LongFile(7).read(10**9)) // 2

    def look_on(window: Window) -> None:
        if len(window.samples) < poison:
            raise ValueError("/opt/secret/path is broken")

    client, _service = served(FakeEngine(look_on=look_on))
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda s: client.post("/invocations", data=wav(s)), [60, 5, 60, 5, 60, 60]))

    assert [answer.status_code for answer in answers] == [200, 500, 200, 500, 200, 200]
    assert answers[1].get_json() == {"error": "the model failed on this audio", "code": "device_fault"}
    assert client.get("/ping").status_code == 200


def test_what_the_windows_of_callers_who_left_waited_for_is_not_done(server: Server) -> None:
    callers = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT_S) for _ in range(6)]
    for caller in callers:
        caller.request("POST", "/invocations", (DATA / "two-minutes.flac").read_bytes())
    before = outcomes_in(server).count(LEFT)
    for caller in callers:
        caller.close()

    wait_until(lambda: outcomes_in(server).count(LEFT) == before + len(callers), "the lines of those who left")
    wait_until(lambda: not list(server.scratch.iterdir()))
    assert server.send(CLIP).status == 200


@pytest.mark.timeout(180)
def test_a_worker_that_is_killed_comes_back_and_sweeps_what_was_left(tmp_path: Path) -> None:
    server = start(tmp_path, SUPPRESS_BY_BIAS="on")
    try:
        wait_ready(server)
        assert server.send((DATA / "en-two-phrases.mp3").read_bytes()).status == 200
        (worker,) = children_of(server.process.pid)
        decoders = [pid for child in children_of(worker) for pid in (child, *children_of(child))]
        assert len(decoders) == 2
        left = server.scratch / "transcriber-model-left"
        left.mkdir()
        (left / "model.bin").symlink_to("/proc/self/fd/9")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: children_of(server.process.pid) not in ([], [worker]))
        refused = answer_while_it_starts(server)
        wait_ready(server)

        assert refused in (None, 503)
        assert server.send((DATA / "en-two-phrases.mp3").read_bytes()).status == 200
        assert list(server.scratch.iterdir()) == []
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in decoders))
    finally:
        stop(server)
    assert server.process.returncode == 0


def answer_while_it_starts(server: Server) -> int | None:
    """None when it was ready before anybody could ask."""
    status = server.send(method="GET", path="/ping").status
    return None if status == 200 else status


def test_a_decoder_that_is_killed_costs_its_request_and_no_other(server: Server) -> None:
    (worker,) = children_of(server.process.pid)
    (template,) = children_of(worker)
    os.kill(template, signal.SIGKILL)
    wait_until(lambda: not children_of(template))

    assert server.send((DATA / "fr-two-phrases.ogg").read_bytes()).status == 200
    assert server.send(method="GET", path="/ping").status == 200


@pytest.mark.timeout(180)
@pytest.mark.parametrize("event", [None, "Listening at", "Booting worker", "model ready"])
def test_sigterm_at_any_moment_ends_the_server_and_leaves_nothing(tmp_path: Path, event: str | None) -> None:
    server = start(tmp_path)
    try:
        if event is not None:
            wait_until(lambda: event in server.log.read_text("utf-8") or server.process.poll() is not None)
        processes = descendants_of(server.process.pid)
        server.process.send_signal(signal.SIGTERM)
        status = server.process.wait(timeout=30)
    finally:
        server.process.kill()
        server.process.wait()

    assert status == 0 if event is not None else status in (0, -signal.SIGTERM)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    assert list(server.scratch.iterdir()) == []
    assert "Traceback" not in server.log.read_text("utf-8")


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]
    except OSError:
        return []


def descendants_of(pid: int) -> list[int]:
    return [found for child in children_of(pid) for found in (child, *descendants_of(child))]


def outcomes_in(server: Server) -> list[tuple[str, str]]:
    """Return how the requests ended that the log tells of, and the levels of their lines."""
    return [(entry["outcome"], entry["level"]) for entry in server.entries() if "outcome" in entry]
