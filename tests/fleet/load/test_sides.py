from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.load.errors import CannotMeasure
from fleet.load.sides import Side, free_port, output_of, started

# The child only has to be there: it is stopped with its server, long before it would end by itself.
SERVER = """
import http.server, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("ready", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def states(side: Side) -> dict[int, str]:
    """Tell the state of each process of a side's group, as proc(5) letters it."""
    assert side.process is not None
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == side.process.pid and fields[0] != "Z":
            found[int(stat.parent.name)] = fields[0]
    return found


def until(is_so: Callable[[], bool]) -> None:
    """Signals reach other processes a moment later."""
    ends_s = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < ends_s


def test_server_is_started_frozen_thawed_and_stopped_with_its_children(tmp_path: Path) -> None:
    port = free_port()
    with started("one", [sys.executable, "-c", SERVER, str(port)], port=port, logs=tmp_path / "logs") as side:
        assert side.log_since(0)[0] == "ready"
        assert side.log_since(side.log_size()) == []
        assert side.worker_pid() != os.getpid()
        side.freeze()
        until(lambda: set(states(side).values()) == {"T"})
        assert len(states(side)) == 2
        assert side.cpu_s() == side.cpu_s() > 0
        side.thaw()
        side.check()
        side.freeze()  # a frozen server is stopped like any other
    until(lambda: not states(side))


def test_server_that_dies_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no module named litserve\\n\\n')"]

    with (
        pytest.raises(CannotMeasure, match=r"litserve ended with status 1; its log, .*, ends with: no module named"),
        started("litserve", command, port=free_port(), logs=tmp_path),
    ):
        pytest.fail("it never was ready")


def test_server_that_is_never_ready_is_given_up_and_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]

    with (
        pytest.raises(CannotMeasure, match="was not ready within 0 s"),
        started("slow", command, port=free_port(), logs=tmp_path, ready_within_s=0.2),
    ):
        pytest.fail("it never was ready")


def test_program_is_run_to_its_end(tmp_path: Path) -> None:
    assert output_of("roofline", [sys.executable, "-c", "print(7)"], logs=tmp_path, within_s=60) == "7\n"


@pytest.mark.parametrize(
    ("code", "within_s", "message"),
    [
        ("import sys; sys.exit('no model')", 60, "roofline ended with status 1; its log, .*, ends with: no model"),
        ("import time; time.sleep(600)", 0.2, "roofline took longer than 0 s"),
    ],
)
def test_program_that_fails_is_told(tmp_path: Path, code: str, within_s: float, message: str) -> None:
    with pytest.raises(CannotMeasure, match=message):
        output_of("roofline", [sys.executable, "-c", code], logs=tmp_path, within_s=within_s)


def test_server_of_somebody_else_is_left_alone() -> None:
    side = Side(name="the server", url="http://127.0.0.1:1")
    side.freeze()
    side.thaw()
    side.check()

    assert (side.cpu_s(), side.log_size(), side.log_since(0)) == (0.0, 0, [])
    with pytest.raises(CannotMeasure, match="was not started here"):
        side.worker_pid()
