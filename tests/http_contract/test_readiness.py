"""From the start of the process to the first healthy ping."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import DATA, ROOT
from tests.http_contract.conftest import Server, start, stop, wait_ready
from tests.patience import wait_until


def test_a_setting_that_is_wrong_stops_the_start_with_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "serve")],
        env={"PORT": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "PORT='many'" in ended.stderr


def test_a_model_that_cannot_be_loaded_is_logged_with_what_to_do_and_ping_says_so(tmp_path: Path) -> None:
    server = start(tmp_path, MODEL_ID="/nowhere")
    try:
        refused = wait_until(lambda: refusal_of(server), "the end of the loading")
        assert "which holds no model; this container serves a Whisper" in refused
        ping = server.send(method="GET", path="/ping")
        assert (ping.status, ping.body) == (503, b"")
        assert [line["level"] for line in server.entries() if line["event"] == "model failed to load"] == ["CRITICAL"]
    finally:
        stop(server)


def refusal_of(server: Server) -> str:
    """Return what the server says to a recording; nothing while it is still on its way."""
    assert server.process.poll() is None
    try:
        answer = server.send(DATA.joinpath("en-one-phrase.wav").read_bytes())
    except OSError:
        return ""
    assert answer.status == 503
    refused: str = json.loads(answer.body)["error"]
    return "" if "still loading" in refused else refused


def test_the_way_to_readiness_is_logged(tmp_path: Path) -> None:
    server = start(tmp_path)
    wait_ready(server)
    stop(server)
    entries = server.entries()
    found, ready = (
        next(entry for entry in entries if entry["event"] == event) for event in ("model found", "model ready")
    )
    marks = [value for name, value in ready.items() if name.endswith("_after_s")]

    assert found["family"] == "Whisper"
    assert found["folder"].endswith("/models/demo")
    assert marks == sorted(marks)
    assert {"model_found_after_s", "loaded_after_s", "warmed_after_s", "ready_after_s"} <= set(ready)
