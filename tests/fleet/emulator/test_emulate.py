"""`make emulate`: what it prints works as pasted, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fleet.emulator.conftest import CONTAINER
from tests.patience import wait_until

SCRIPT = ROOT / "scripts" / "emulate.py"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "TMPDIR": str(scratch)}


@pytest.fixture
def container() -> Any:
    """A container that runs already, with its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, str(CONTAINER), "serve"], env={**os.environ, "SAGEMAKER_BIND_TO_PORT": port}
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=30)


def test_printed_lines_work_and_sigterm_ends_it_cleanly(
    container: str, environ: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "output"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), "--port", "0", "--container-url", container],
            cwd=ROOT,
            env=environ,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: "Ctrl-C stops everything." in output.read_text() or process.poll() is not None, "readiness")
        text = output.read_text()
        exports = re.findall(r"^export .*$", text, flags=re.MULTILINE)
        block = re.search(r"^\S+ - <<'PYTHON'\n.*?^PYTHON$", text, flags=re.MULTILINE | re.DOTALL)
        assert block, text
        pasted = subprocess.run(
            ["bash", "-e"],
            input="\n".join([*exports, block[0]]),
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert pasted.returncode == 0, pasted.stderr
        assert pasted.stdout.count('"bytes"') == 2
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)

    assert status == 0, output.read_text()
    assert "emulator: stopped" in output.read_text()
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--instances", "0"], "'0' is not a whole number from 1 on"),
        (["--env", "MODEL_ID"], "--env takes NAME=VALUE"),
        (["--scale-seconds", "0"], "must be above 0"),
    ],
)
def test_wrong_option_is_refused_in_one_line(arguments: list[str], expected: str, environ: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], env=environ, capture_output=True, text=True, timeout=100, check=False
    )

    assert ended.returncode == 2
    assert expected in ended.stderr
