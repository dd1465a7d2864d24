"""A real `./serve` with the demo model, started again where the platform would, and its log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from tests.chaos.processes import Holdings, children_of, descendants_of, holdings_of, identity_of
from tests.conftest import DEMO_MODEL, ROOT
from tests.http_contract.conftest import CREDENTIALS, free_port
from tests.patience import comes_about

READY_WITHIN_S = 120.0
ENDED_WITHIN_S = 60.0
LOOK_EVERY_S = 0.05
KEPT_LINES = 40
CALM_LOOKS = 20
"""Looks in a row that find the same: a second."""


class Log:
    """Counts what the container says, and keeps what it should not have said."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.strange: deque[str] = deque(maxlen=KEPT_LINES)
        self.last: deque[str] = deque(maxlen=KEPT_LINES)

    def follow(self, stream: IO[bytes]) -> None:
        """Read until the container has ended.

        A pipe and no file: a container whose files may not grow must still be able to speak.
        """
        with stream:
            for raw in stream:
                self._note(raw.decode("utf-8", "replace").rstrip())

    def _note(self, line: str) -> None:
        self.last.append(line)
        try:
            entry = json.loads(line)
        except ValueError:
            self.events["no JSON"] += 1
            self.strange.append(line)
            return
        self.events[entry["event"]] += 1
        if "outcome" in entry:
            self.outcomes[str(entry["outcome"])] += 1
        if entry["event"] == "request failed" or "stack" in entry or entry["level"] == "CRITICAL":
            self.strange.append(line)


class Container:
    """A container on a port of its own, which keeps that port however often it is started."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.port = free_port()
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.log = Log()
        self.statuses: list[int] = []
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_"))},
            **CREDENTIALS,
            "MODEL_ID": str(DEMO_MODEL),
            "PORT": str(self.port),
            "TMPDIR": str(self.scratch),
            **environ,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._seen: set[tuple[int, str]] = set()

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "serve"), "serve"],
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self.log.follow, args=[self._process.stdout], name="log", daemon=True)
        self._reader.start()

    def terminate(self) -> None:
        """Tell it to end."""
        assert self._process is not None
        self.remember_processes()
        self._process.send_signal(signal.SIGTERM)

    def wait_ended(self) -> int:
        """Wait for its end and return its status; one that does not end is killed, status -9."""
        assert self._process is not None
        assert self._reader is not None
        try:
            status = self._process.wait(ENDED_WITHIN_S)
        except subprocess.TimeoutExpired:
            for pid in [*descendants_of(self._process.pid), self._process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = self._process.wait()
        self._reader.join(ENDED_WITHIN_S)
        self.statuses.append(status)
        return status

    def stop(self) -> int:
        """End it."""
        self.terminate()
        return self.wait_ended()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def worker(self) -> int | None:
        """The process that serves; None while there is none."""
        assert self._process is not None
        return next(iter(children_of(self._process.pid)), None)

    @property
    def template(self) -> int | None:
        """The process that forks decoders."""
        worker = self.worker
        return next(iter(children_of(worker)), None) if worker else None

    @property
    def decoders(self) -> list[int]:
        template = self.template
        return children_of(template) if template else []

    def remember_processes(self) -> None:
        """Note who is alive, so that it can be told at the end whether anybody has stayed."""
        if self._process is not None:
            found = (identity_of(pid) for pid in [self._process.pid, *descendants_of(self._process.pid)])
            self._seen.update(one for one in found if one)

    def left_processes(self) -> list[int]:
        """Return which of them live after some seconds in which they could end."""
        left: list[int] = []

        def are_gone() -> bool:
            left[:] = [pid for pid, started in self._seen if identity_of(pid) == (pid, started)]
            return not left

        comes_about(are_gone, within_s=10)
        return left

    def holdings(self, *, store_port: int | None = None) -> Holdings:
        """Say what it holds now.

        Raises:
            OSError: Its worker has just ended.
        """
        worker = self.worker
        if worker is None:
            raise ProcessLookupError
        return holdings_of(worker, scratch=self.scratch, store_port=store_port)


def holdings_in_calm(container: Container, store_port: int | None = None) -> Holdings:
    """Look at what it holds until that has been the same for a while; at most for some seconds."""
    looks: list[Holdings] = []

    def are_alike() -> bool:
        looks.append(container.holdings(store_port=store_port))
        last = [(look.open_files, look.unnamed_files, look.threads) for look in looks[-CALM_LOOKS:]]
        return len(last) == CALM_LOOKS and len(set(last)) == 1

    comes_about(are_alike, within_s=10)
    return min(looks[-CALM_LOOKS:], key=lambda look: (look.unnamed_files, look.open_files))


def end_in_order() -> None:
    """Have a program that is told to end stop its container first."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextmanager
def running(**environ: str) -> Iterator[Container]:
    """Lend a container that has been started, and see that it ends."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        container = Container(Path(folder), **environ)
        container.start()
        try:
            yield container
        finally:
            if container.is_running:
                container.stop()
