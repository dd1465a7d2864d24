"""Makes measurements in processes of their own, so that one that crashes or hangs costs nobody else anything.

A process takes the measurements of a group one after the other, with the model loaded once, and writes an event for
everything that happens as a line of JSON; what was measured before a crash is kept. After a failure the rest of the
group gets a fresh process: errors of CUDA stick to the one in which they happened.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal, TypedDict

from .measurements import Measurement, NotApplicableError, Point, Probe

GRACE_S = 60.0
"""What a group may take beyond its time before its process is ended: one point, and a driver that compiles kernels."""

SIGNIFICANT_DIGITS = 5

Status = Literal["measured", "cut short", "not applicable", "failed"]


class Event(TypedDict, total=False):
    """A line that a measuring process writes."""

    name: str
    point: Point
    status: Status
    reason: str
    took_s: float


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a measurement.

    Attributes:
        status: None while it has not ended.
        reason: Why it is not simply measured.
    """

    measurement: Measurement
    points: list[Point] = field(default_factory=list)
    status: Status | None = None
    reason: str | None = None
    took_s: float = 0.0

    def note(self, event: Event) -> None:
        """Take in what its process wrote."""
        if "point" in event:
            self.points.append(event["point"])
        if "status" in event:
            self.status = event["status"]
            self.reason = event.get("reason")
            self.took_s = event.get("took_s", 0.0)

    def document(self) -> dict[str, object]:
        """Return it as it is recorded."""
        return {
            "name": self.measurement.name,
            "question": self.measurement.question,
            "unit": self.measurement.unit,
            "status": self.status or "not begun",
            "reason": self.reason,
            "took_s": round(self.took_s, 2),
            "points": self.points,
        }


def share(seconds: float, weights: Sequence[float]) -> float:
    """Return the first one's part of the time.

    Example:
        >>> share(30, [2, 1, 3])
        10.0
    """
    return seconds * weights[0] / sum(weights)


def measure_here(measurements: Sequence[Measurement], probe: Probe, *, seconds: float) -> Iterator[Event]:
    """Make measurements in this process, up to the first that fails.

    Args:
        measurements: In their order.
        probe: What is measured.
        seconds: For all; each may use what those before it left.
    """
    ends_s = time.monotonic() + seconds
    for place, measurement in enumerate(measurements):
        began_s = time.monotonic()
        limit_s = share(max(0.0, ends_s - began_s), [it.weight for it in measurements[place:]])
        end: Event = {"name": measurement.name, "status": "measured"}
        cases = measurement.cases(probe.device)
        for done, case in enumerate(cases):
            if time.monotonic() - began_s >= limit_s:
                end |= {"status": "cut short", "reason": f"the time was up after {done} of {len(cases)} points"}
                break
            try:
                point = {**case, **measurement.measure(probe, case)}
            except NotApplicableError as error:
                end |= {"status": "not applicable", "reason": str(error)}
                break
            except Exception as error:  # noqa: BLE001 - whatever it is, it is recorded and the others go on
                end |= {"status": "failed", "reason": f"at {dict(case)}: {type(error).__name__}: {error}"}
                break
            yield {"name": measurement.name, "point": {name: _rounded(value) for name, value in point.items()}}
        yield {**end, "took_s": time.monotonic() - began_s}
        if end["status"] == "failed":
            return


def measure_all(
    measurements: Sequence[Measurement],
    *,
    device: str,
    seconds: float,
    command: Callable[[Sequence[Measurement], float], Sequence[str]],
    environment: Mapping[str, str],
    keep: Callable[[Sequence[Outcome]], None],
    grace_s: float = GRACE_S,
) -> list[Outcome]:
    """Make measurements in processes, as many as there are groups or more.

    Args:
        measurements: In their order; neighbours that want the same environment share a process.
        device: `cpu` or `cuda`.
        seconds: For all together.
        command: What starts a process that measures some in some seconds and writes their events.
        environment: Added to that of every process.
        keep: Called with everything so far whenever there is something new.
        grace_s: What a process may take beyond its time.
    """
    outcomes = [Outcome(measurement=it) for it in measurements]
    ends_s = time.monotonic() + seconds
    for outcome in outcomes:
        if not outcome.measurement.cases(device):
            outcome.note({"status": "not applicable", "reason": f"there is nothing to measure on {device}"})
    groups = _groups([it for it in outcomes if it.status is None])
    for place, group in enumerate(groups):
        left_s = max(0.0, ends_s - time.monotonic())
        limit_s = share(left_s, [sum(it.measurement.weight for it in one) for one in groups[place:]])
        last_s = time.monotonic() + limit_s
        waiting = group
        while waiting:
            own_s = max(0.0, last_s - time.monotonic())
            program = command([it.measurement for it in waiting], own_s)
            added = {**environment, **waiting[0].measurement.environment}
            for event in _events(program, {**os.environ, **added}, waiting, within_s=own_s + grace_s):
                next(it for it in waiting if it.measurement.name == event["name"]).note(event)
                keep(outcomes)
            waiting = [it for it in waiting if it.status is None]
    keep(outcomes)
    return outcomes


def _events(
    command: Sequence[str], environment: Mapping[str, str], waiting: Sequence[Outcome], *, within_s: float
) -> Iterator[Event]:
    """Run a process and yield its events, and one for the measurement in which it died; at least one ends."""
    ended = 0
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log) as process,
    ):
        watch = threading.Timer(within_s, process.kill)
        watch.start()
        try:
            for line in process.stdout or ():
                event = _event_of(line)
                if event is not None:
                    ended += "status" in event
                    yield event
            status = process.wait()
        finally:
            is_late = not watch.is_alive()
            watch.cancel()
            process.kill()
        if ended == 0 or (status and ended < len(waiting)):
            reason = f"its process took longer than {within_s:.0f} s" if is_late else _death(status, log)
            yield {"name": waiting[ended].measurement.name, "status": "failed", "reason": reason}


def _event_of(line: bytes) -> Event | None:
    """Read a line; libraries write to standard output too."""
    try:
        event: Event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "name" in event else None


def _death(status: int, log: IO[bytes]) -> str:
    log.seek(0)
    words = [line for line in log.read().decode("utf-8", errors="replace").splitlines() if line.strip()]
    how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    return f"its process ended with {how}{f': {words[-1]}' if words else ''}"


def _groups(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Split into those that share a process."""
    numbers = itertools.count(1)

    def key(outcome: Outcome) -> int:
        return next(numbers) if outcome.measurement.is_alone else 0

    return [list(group) for _, group in itertools.groupby(outcomes, key)]


def _rounded(value: float | str | bool) -> int | float | str | bool:  # noqa: FBT001 - a value among values
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


def write_events(events: Iterator[Event]) -> None:
    """Write events as `measure_all` reads them."""
    for event in events:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
