"""The check of a built image, with a docker that runs a stub of the service."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "scripts" / "run_image_check.py"

STUB = f"""#!{sys.executable}
import http.server, json, os, re, signal, sys, threading

if sys.argv[1] in ("info", "rm"):
    sys.exit()
if sys.argv[1] == "image":
    print(227_000_000)
    sys.exit()
assert sys.argv[-1] == "serve" and "--read-only" in sys.argv, sys.argv
behaviour = sys.argv[-2]
lent = [value for value in sys.argv if value.endswith(":/opt/ml/model:ro")]
if behaviour == "dies":
    sys.exit(3)


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        heard = self.rfile.read(int(self.headers["Content-Length"]))
        heard = {{"text": f"{{len(heard)}} bytes", "lent": lent}}
        self.answer(*((200, heard) if behaviour == "works" else (500, {{"error": "no"}})))

    def answer(self, status, body):
        body = json.dumps(body).encode() if body else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


port = int(re.search(r"127.0.0.1:([0-9]+):8080", " ".join(sys.argv))[1])
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("127.0.0.1", port), Service).serve_forever()
"""


def check(image: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "docker").write_text(STUB)
    (folder / "docker").chmod(0o755)
    (folder / "recording.wav").write_bytes(b"12345")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return subprocess.run(
        [
            sys.executable,
            SCRIPT,
            image,
            "--port",
            str(port),
            "--recording",
            folder / "recording.wav",
            "--wait",
            "30",
            *options,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
    )


def test_image_that_works_shows_its_size_its_answer_and_how_it_stopped(tmp_path: Path) -> None:
    ended = check("works", tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert "works: 227 MB" in ended.stdout
    assert "ready after" in ended.stdout
    assert '"text": "5 bytes"' in ended.stdout
    assert "after SIGTERM, with status 0" in ended.stdout


@pytest.mark.parametrize(
    ("image", "expected"), [("dies", "the container ended with status 3"), ("refuses", "/invocations answered 500")]
)
def test_image_that_does_not_work_fails_the_check_in_one_line(image: str, expected: str, tmp_path: Path) -> None:
    ended = check(image, tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.startswith("run_image_check: ")
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_model_data_lies_where_sagemaker_puts_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    ended = check("works", tmp_path, "--model-data", str(tmp_path / "model"))

    assert ended.returncode == 0, ended.stderr
    assert f"{tmp_path}/model:/opt/ml/model:ro" in ended.stdout


def test_model_data_that_is_no_folder_ends_in_one_line(tmp_path: Path) -> None:
    ended = check("works", tmp_path, "--model-data", str(tmp_path / "nowhere"))

    assert ended.returncode == 1
    assert ended.stderr == f"run_image_check: --model-data {tmp_path}/nowhere is no folder\n"
