"""A container as a process of this machine: started and stopped the way SageMaker does it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

LAST_LINES = 20


class Server(Protocol):
    """Where an instance's container is, and its life."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""

    def start(self) -> None:
        """Begin to run."""

    def ended(self) -> str | None:
        """Say how it ended if it has, else None."""

    def stop(self, *, kill_s: float) -> None:
        """End it; after `kill_s` seconds by force."""


class ServeProcess:
    """`serve`, with the environment that it would find in a container and nothing else.

    Args:
        command: What to run.
        environ: What image, platform and model set.
        scratch: A folder that does not exist yet, for the container's temporary files; it goes with the container.
        tell_line: Hears each line that the container prints.
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        scratch: Path,
        tell_line: Callable[[str], None],
    ) -> None:
        self._command = list(command)
        self._environ = dict(environ)
        self._tell_line = tell_line
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._process: subprocess.Popen[str] | None = None
        self._scratch = scratch
        self._reader: threading.Thread | None = None
        self._port = _free_port()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return "127.0.0.1", self._port

    def start(self) -> None:
        """Begin to run.

        The port goes through `SAGEMAKER_BIND_TO_PORT`, as in a multi-container endpoint: several instances share one
        machine here. The process leads a session of its own, so a Ctrl-C in the terminal does not reach it first.
        """
        self._scratch.mkdir(parents=True)
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(self._scratch),
            "TMPDIR": str(self._scratch),
            **self._environ,
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
        }
        self._process = subprocess.Popen(  # noqa: S603 - the command is the operator's own
            self._command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="instance log", daemon=True)
        self._reader.start()

    def ended(self) -> str | None:
        """Say how the process ended if it has, else None."""
        if self._process is None or self._process.poll() is None:
            return None
        if self._reader is not None:
            self._reader.join(timeout=1)  # its last words may still be on their way
        return f"serve ended with status {self._process.returncode}: {self._last[-1] if self._last else 'no output'}"

    def stop(self, *, kill_s: float) -> None:
        """Send SIGTERM, as `docker stop` does to the first process, and SIGKILL to all of them after `kill_s`."""
        process = self._process
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(kill_s)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # a container takes all its processes with it
        process.wait()
        if self._reader is not None:
            self._reader.join(timeout=5)
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _read(self) -> None:
        process = self._process
        if process is None or process.stdout is None:
            return
        for line in process.stdout:
            self._last.append(line.rstrip("\n"))
            self._tell_line(line.rstrip("\n"))


class RunningServer:
    """A container that somebody else runs."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self._address

    def start(self) -> None:
        """Do nothing: it runs."""

    def ended(self) -> str | None:
        """Never ends here."""
        return None

    def stop(self, *, kill_s: float) -> None:
        """Do nothing: it is not ours."""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
