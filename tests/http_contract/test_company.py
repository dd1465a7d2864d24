"""A request alone and the same request among twenty others give the same answer, byte for byte (on a CPU)."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import DATA, recordings
from tests.http_contract.conftest import Answer, Server

OPTIONS: list[dict[str, Any]] = [
    {},
    {"task": "translate"},
    {"word_timestamps": True},
    {"initial_prompt": "Turn on the light."},
    {"hotwords": "kitchen"},
    {"beam_size": 1},
    {"vad_filter": False},
    {"condition_on_previous_text": True},
    {"response_format": "srt"},
    {"response_format": "verbose_json", "word_timestamps": True},
]


def plans() -> list[dict[str, Any]]:
    """Twenty requests of mixed languages, tasks, prompts and lengths; temperature 0, because sampling is random."""
    paths = [recording.path for recording in recordings()]
    return [
        {
            "audio_b64": base64.b64encode(paths[i % len(paths)].read_bytes()).decode(),
            "temperature": 0,
            **OPTIONS[(i + i // len(paths)) % len(OPTIONS)],
        }
        for i in range(20)
    ]


def ask(server: Server, plan: dict[str, Any]) -> Answer:
    return server.send(json.dumps(plan).encode(), {"Content-Type": "application/json"})


@pytest.mark.timeout(300)  # forty requests, some of two minutes
def test_company_changes_nothing(server: Server) -> None:
    requests = plans()
    alone = [ask(server, plan) for plan in requests]
    with ThreadPoolExecutor(len(requests)) as callers:
        together = list(callers.map(lambda plan: ask(server, plan), requests))

    assert [answer.status for answer in alone] == [200] * len(requests)
    assert [answer.body for answer in together] == [answer.body for answer in alone]


@pytest.mark.timeout(300)
def test_ping_answers_while_windows_of_many_requests_share_batches(server: Server) -> None:
    """Were batches not shared, the test above would prove nothing."""
    long = (DATA / "two-minutes.flac").read_bytes()
    callers = 8
    with ThreadPoolExecutor(callers) as pool:
        futures = [pool.submit(server.send, long) for _ in range(callers)]
        pings = 0
        while not all(future.done() for future in futures):
            assert server.send(method="GET", path="/ping").status == 200
            pings += 1
    batches = [line["largest_batch"] for line in server.entries() if line["event"] == "request done"]

    assert pings > 0
    assert {future.result().status for future in futures} == {200}
    assert max(batches) > 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_ping_has_an_empty_body(server: Server, method: str) -> None:
    answer = server.send(method=method, path="/ping")

    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")


def test_requests_beyond_the_limit_are_refused_at_once(server: Server) -> None:
    """64 may be in flight; of 100 that come together some are told to return, and none is lost."""
    clip = (DATA / "en-one-phrase.wav").read_bytes()
    with ThreadPoolExecutor(100) as callers:
        answers = list(callers.map(lambda _n: server.send(clip), range(100)))

    assert {answer.status for answer in answers} <= {200, 503}
    for answer in answers:
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert json.loads(answer.body)["code"] == "busy"
    assert server.send(clip).status == 200
