"""`serve` as the first process of a container: no network, nothing but /tmp to write to, the arguments of the image."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fleet.platform import CONTAINER_PORT, KILL_AFTER_S
from tests.conftest import DEMO_MODEL, ROOT, recordings

NAMESPACES = ["unshare", "--net", "--pid", "--mount", "--fork", "--kill-child"]

CONTAINER = """
mount -t proc proc /proc
mount -t tmpfs tmpfs /tmp
while read -r _ _ _ _ point _; do
    case $point in /tmp | /proc*) ;; *) mount -o remount,ro,bind "$point" ;; esac
done < /proc/self/mountinfo
touch "$HOME/written" 2>/dev/null && exit 99
exec "$@"
"""
"""What docker's --network none, --read-only and --tmpfs /tmp do."""

LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:  # SIOCSIFFLAGS: the loopback of a new namespace is down
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execv(sys.argv[1], sys.argv[1:])
"""

CALLER = """
import http.client, json, sys, time
port, recording = int(sys.argv[1]), open(sys.argv[2], "rb").read()
def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()
ready = None
ends = time.monotonic() + 60
while ready != 200 and time.monotonic() < ends:
    try:
        ready, _ = ask("GET", "/ping")
    except OSError:
        pass
    time.sleep(0.05)  # there is no other clock than the server's own
rows = [line.split() for name in ("tcp", "tcp6") for line in open("/proc/net/" + name).readlines()[1:]]
listening = [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"]
status, body = ask("POST", "/invocations", recording)
print(json.dumps({"ready": ready, "listening": listening, "status": status, "answer": json.loads(body)}))
"""


RECORDING = next(recording for recording in recordings() if recording.path.name == "en-one-phrase.wav")


@cache
def why_not() -> str:
    """Say why there can be no container here; nothing if there can."""
    if ROOT.is_relative_to("/tmp"):  # noqa: S108
        return "the checkout lies in /tmp, which a container has of its own"
    try:
        tried = subprocess.run([*NAMESPACES, "mount", "-t", "proc", "proc", "/proc"], capture_output=True, check=False)
    except FileNotFoundError:
        return "there is no unshare"
    return f"no namespaces may be made: {tried.stderr.decode().strip()}" if tried.returncode else ""


def wait_for_caller(first_process: int, port: int, log: Path) -> dict[str, Any]:
    inside = ["nsenter", "--net", f"--target={first_process}", sys.executable, "-c", CALLER, str(port)]
    ended = subprocess.run([*inside, str(RECORDING.path)], capture_output=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr.decode() + log.read_text("utf-8")
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


@pytest.fixture
def container(tmp_path: Path) -> Any:
    if why_not():
        pytest.skip(why_not())
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, **environ: str) -> tuple[subprocess.Popen[bytes], int]:
        command = [sys.executable, "-c", LOOPBACK, sys.executable, str(ROOT / "serve"), *arguments]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [*NAMESPACES, "sh", "-c", CONTAINER, "sh", *command],
                env={"PATH": os.environ["PATH"], "HOME": "/root", "MODEL_ID": str(DEMO_MODEL), **environ},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while not children.read_text().strip():
            assert process.poll() is None
        return process, int(children.read_text())

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()  # --kill-child takes the rest with it
        process.wait()


Start = Callable[..., tuple[subprocess.Popen[bytes], int]]


@pytest.mark.parametrize(
    ("arguments", "environ", "port"),
    [
        ([], {}, CONTAINER_PORT),
        (["serve"], {"SAGEMAKER_BIND_TO_PORT": "18080", "SAGEMAKER_SAFE_PORT_RANGE": "18081-18090"}, 18080),
    ],
    ids=["bare", "serve at another port"],
)
def test_it_serves_without_network_with_nothing_to_write_to_and_as_first_process(
    container: Start, tmp_path: Path, arguments: list[str], environ: dict[str, str], port: int
) -> None:
    process, first_process = container(*arguments, **environ)
    told = wait_for_caller(first_process, port, tmp_path / "log")
    os.kill(first_process, signal.SIGTERM)

    assert told["ready"] == 200
    assert told["listening"] == [port]
    assert (told["status"], told["answer"]["text"]) == (200, RECORDING.text)
    assert process.wait(KILL_AFTER_S - 2) == 0
