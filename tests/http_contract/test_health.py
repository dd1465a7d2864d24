"""/ping: 503 while the model loads and when the device is lost, 200 otherwise, always empty."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import create
from inference import ModelService, _Loaded
from tests.conftest import DATA
from tests.test_inference import FakeEngine
from transcriber.engines.base import Window
from transcriber.engines.whisper import _device_fault
from transcriber.observability.timeline import Timeline
from transcriber.scheduling.scheduler import Scheduler
from transcriber.settings import load

CLIP = DATA.joinpath("en-one-phrase.wav").read_bytes()


@dataclass
class Container:
    """The application before its model is there, and a way to bring it."""

    service: ModelService
    client: FlaskClient
    failures: list[BaseException] = field(default_factory=list)

    def bring_model(self) -> None:
        engine = FakeEngine(look_on=self._look_on)
        scheduler: Scheduler[Any] = Scheduler(engine, clock=self.service._clock)
        scheduler.start()
        self.service._loaded = _Loaded(engine, scheduler)

    def _look_on(self, _window: Window) -> None:
        """Fail as the device does, once for each failure."""
        if self.failures:
            raise self.failures.pop(0)

    def pings(self) -> set[tuple[int, bytes]]:
        """Ask in the ways that take different paths to the same answer."""
        client = self.client
        answers = [client.get("/ping"), client.post("/ping"), client.get("/ping", data=b"a body that nobody wants")]
        return {(answer.status_code, answer.get_data()) for answer in answers}


@pytest.fixture
def container() -> Iterator[Container]:
    settings = load({})
    service = ModelService(settings, timeline=Timeline())
    yield Container(service, create(settings, service).test_client())
    service.close()


def test_ping_and_requests_say_that_the_model_is_loading(container: Container) -> None:
    before = container.pings()
    refused = container.client.post("/invocations", data=CLIP)
    container.bring_model()

    assert before == {(503, b"")}
    assert (refused.status_code, json.loads(refused.get_data())["code"]) == (503, "model_not_ready")
    assert int(refused.headers["Retry-After"]) >= 1
    assert container.pings() == {(200, b"")}


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ("CUDA error: an illegal memory access was encountered", 503),
        ("CUDA failed with error device-side assert triggered", 503),
        ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", 503),
        ("CUDA failed with error out of memory", 200),
        ("Conv1D on GPU currently requires the cuDNN library", 200),
    ],
)
def test_only_a_device_that_is_lost_makes_the_container_ill(container: Container, said: str, after: int) -> None:
    """A lack of memory passes; CUDA's own errors stay with the process, so that the instance must be replaced."""
    container.bring_model()
    container.failures.append(_device_fault(RuntimeError(said)))
    failed = container.client.post("/invocations", data=CLIP)
    again = container.client.post("/invocations", data=CLIP)

    assert failed.status_code == 500
    assert container.pings() == {(after, b"")}
    assert again.status_code == (200 if after == 200 else 500)
