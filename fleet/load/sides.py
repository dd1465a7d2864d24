"""The servers that are measured: started, frozen while another is measured, and stopped on every way out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fleet.load.errors import CannotMeasure
from fleet.load.http_line import HttpLine

READY_WITHIN_S = 300.0
STOPPED_WITHIN_S = 30.0
LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A running server.

    Attributes:
        name: How the record calls it.
        url: Where it listens.
        process: The first of its processes; None for a server that somebody else started.
        log: What it says; None as above.
    """

    name: str
    url: str
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    def freeze(self) -> None:
        """Stop all its processes where they stand: even a server without requests may poll its queue."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def check(self) -> None:
        """Return while it lives.

        Raises:
            CannotMeasure: It has ended.
        """
        if self.process is not None and self.process.poll() is not None:
            raise CannotMeasure(f"{self.name} ended with status {self.process.returncode}{_last_words(self.log)}")

    def cpu_s(self) -> float:
        """Return the seconds of CPU that its living processes have used."""
        if self.process is None:
            return 0.0
        return sum(_cpu_s_of_group(self.process.pid))

    def worker_pid(self) -> int:
        """Return the process that does the work: the first child of a server that has children, else itself."""
        if self.process is None:
            raise CannotMeasure(f"{self.name} was not started here, so its processes are not known")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text("ascii").split()
        return int(children[0]) if children else self.process.pid

    def log_size(self) -> int:
        """Return how long its log is by now, in bytes."""
        return self.log.stat().st_size if self.log else 0

    def log_since(self, start: int) -> list[str]:
        """Return the lines of its log from a place that `log_size` gave."""
        if self.log is None:
            return []
        with self.log.open("rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", errors="replace").splitlines()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)


@contextmanager
def started(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    logs: Path,
    environment: Mapping[str, str] | None = None,
    ready_within_s: float = READY_WITHIN_S,
) -> Iterator[Side]:
    """Start a server in a process group of its own, wait until /ping answers 200, and stop it afterwards.

    Args:
        name: How the record calls it.
        command: What starts it.
        port: Where it will listen, on 127.0.0.1.
        logs: Folder for what it says.
        environment: Added to ours.
        ready_within_s: How long it may take to load.

    Raises:
        CannotMeasure: It ended, or was not ready in time.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with (
        log.open("wb") as file,
        _group(command, stdout=file.fileno(), stderr=file.fileno(), add=environment) as process,
    ):
        side = Side(name=name, url=f"http://127.0.0.1:{port}", process=process, log=log)
        _wait_until_ready(side, ready_within_s)
        yield side


@contextmanager
def running(name: str, command: Sequence[str], *, logs: Path) -> Iterator[Side]:
    """Start a program that is no server and writes to its log, in a process group of its own; stop it afterwards."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as file, _group(command, stdout=file.fileno(), stderr=subprocess.DEVNULL) as process:
        yield Side(name=name, url="", process=process, log=log)


def output_of(name: str, command: Sequence[str], *, logs: Path, within_s: float) -> str:
    """Run a program to its end and return what it writes; it is stopped on every other way out.

    Raises:
        CannotMeasure: It failed, or took too long.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    with log.open("wb") as file, _group(command, stdout=subprocess.PIPE, stderr=file.fileno()) as process:
        try:
            written, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            raise CannotMeasure(f"{name} took longer than {within_s:.0f} s; its log is {log}") from error
    if process.returncode:
        raise CannotMeasure(f"{name} ended with status {process.returncode}{_last_words(log)}")
    return written.decode()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _group(
    command: Sequence[str], *, stdout: int, stderr: int, add: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program whose processes can be signalled together, and leave none of them behind.

    In a session of its own, it does not get the Ctrl-C of the terminal; it is stopped by us, in order.
    """
    process: subprocess.Popen[bytes] | None = None
    try:
        with _undisturbed():
            process = subprocess.Popen(  # noqa: S603 - the caller's own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(add or {})},
                start_new_session=True,
            )
        yield process
    finally:
        if process is not None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a program in order, and then whatever is left of its group."""
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGCONT)  # what is frozen hears nothing
            process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOPPED_WITHIN_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM to the end of the block: between fork and return, Popen would lose its process."""
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = [signal.signal(number, lambda caught_number, _frame: caught.append(caught_number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
    for caught_number in caught:
        signal.raise_signal(caught_number)


def _wait_until_ready(side: Side, within_s: float) -> None:
    """Ask /ping until it says 200."""
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        side.check()
        line = HttpLine(side.url)
        try:
            if line.ask("GET", "/ping").status == 200:
                return
        except CannotMeasure:
            pass  # nobody listens yet
        finally:
            line.close()
        time.sleep(LOOK_AGAIN_S)
    raise CannotMeasure(f"{side.name} was not ready within {within_s:.0f} s{_last_words(side.log)}")


def _last_words(log: Path | None) -> str:
    if log is None:
        return ""
    lines = log.read_text("utf-8", errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"; its log, {log}, ends with: {last[:200]}"


def _cpu_s_of_group(group: int) -> Iterator[float]:
    """Yield the CPU seconds of each process of a group (proc(5): fields 5, 14 and 15 of stat)."""
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):  # it may end while we look
            fields = stat.read_text("utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                yield (int(fields[11]) + int(fields[12])) / ticks_per_s
