"""The instances behind a production variant: as many as wanted, pinged, replaced when they are ill."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from fleet import platform
from fleet.emulator.container import Broken, Call, Timeout, ask
from fleet.emulator.options import Patience
from fleet.emulator.process import Server

START_PING_EVERY_S = 0.1
"""Pings come faster while a container starts: nobody should wait five seconds for a laptop."""

REPLACE_PAUSE_S = 1.0
"""Rest before an instance that failed is replaced, so that a container that cannot start does not spin."""

ids = itertools.count(1)


class State(StrEnum):
    """Where an instance is in its life."""

    STARTING = "starting"
    IN_SERVICE = "in service"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Instance:
    """One container with the thread that watches it."""

    def __init__(self, name: str, server: Server, patience: Patience, ready_s: float, tell: Callable[[], None]) -> None:
        self.name = name
        self.server = server
        self.state = State.STARTING
        self.reason = ""
        self.outstanding = 0
        self._patience = patience
        self._ready_s = ready_s
        self._tell = tell
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"instance {name}", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the container."""
        return self.server.address

    def start(self) -> None:
        """Begin its life."""
        self._thread.start()

    def end(self) -> None:
        """Ask for its end, and do not wait."""
        self._ending.set()

    def join(self) -> None:
        """Wait until it is gone."""
        self._thread.join()

    def _live(self) -> None:
        try:
            self.server.start()
        except OSError as error:
            self._become(State.FAILED, f"the container cannot be started: {error}")
        else:
            self._watch()
        if self.state is not State.FAILED:
            self._become(State.STOPPING, "")
        self.server.stop(kill_s=self._patience.kill_s)
        if self.state is not State.FAILED:
            self._become(State.STOPPED, "")

    def _watch(self) -> None:
        """Ping until the end is asked for or the container is ill."""
        started_s = time.monotonic()
        failures = 0
        pause_s = START_PING_EVERY_S
        while not self._ending.wait(pause_s):
            ended = self.server.ended()
            if ended is not None:
                return self._become(State.FAILED, ended)
            healthy = self._ping()
            if self.state is State.STARTING:
                if healthy:
                    pause_s = self._patience.ping_every_s
                    self._become(State.IN_SERVICE, "")
                elif time.monotonic() - started_s > self._ready_s:
                    return self._become(State.FAILED, f"/ping did not answer 200 within {self._ready_s:.0f} s")
                continue
            failures = 0 if healthy else failures + 1
            if failures >= self._patience.unhealthy_pings:
                return self._become(State.FAILED, f"{failures} pings in a row were not answered with 200")
        return None

    def _ping(self) -> bool:
        call = Call(
            method="GET", path="/ping", headers={}, timeout_s=self._patience.ping_s, accept_s=self._patience.accept_s
        )
        try:
            return ask(self.address, call).status == 200
        except (Timeout, Broken):
            return False

    def _become(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        self._tell()


class Group:
    """Instances that share the work of one variant.

    Attributes:
        changed: Is notified, with its lock held, whenever an instance changes or becomes free.
    """

    def __init__(
        self,
        launch: Callable[[str], Server],
        *,
        changed: threading.Condition,
        patience: Patience,
        tell: Callable[[str], None],
        ready_s: float = platform.READY_WITHIN_S,
    ) -> None:
        self.changed = changed
        self._launch = launch
        self._patience = patience
        self._ready_s = ready_s
        self._tell = tell
        self._desired = 0
        self._instances: list[Instance] = []
        self._retired: list[Instance] = []
        self._resume_s = 0.0
        self._closed = False
        self.last_failure = ""

    @property
    def desired(self) -> int:
        """Instances wanted."""
        return self._desired

    @property
    def ready(self) -> int:
        """Instances in service."""
        with self.changed:
            return sum(instance.state is State.IN_SERVICE for instance in self._instances)

    @property
    def outstanding(self) -> int:
        """Requests that instances work on."""
        with self.changed:
            return sum(instance.outstanding for instance in [*self._instances, *self._retired])

    def want(self, count: int) -> None:
        """Set the number of instances; they come and go in the background."""
        self._desired = count
        self.keep()

    def keep(self) -> None:
        """Bring what is closer to what is wanted; to be called now and then."""
        with self.changed:
            for instance in [one for one in self._instances if one.state is State.FAILED]:
                self._instances.remove(instance)
                self._retired.append(instance)
                self.last_failure = instance.reason
                self._resume_s = time.monotonic() + REPLACE_PAUSE_S
                self._tell(f"instance {instance.name} failed: {instance.reason}")
            while len(self._instances) < self._desired and time.monotonic() >= self._resume_s and not self._closed:
                self._add()
            while len(self._instances) > self._desired:
                # those that are not ready first, then the least busy, then the youngest
                victim = min(
                    reversed(self._instances), key=lambda one: (one.state is State.IN_SERVICE, one.outstanding)
                )
                self._instances.remove(victim)
                self._retired.append(victim)
                self._tell(f"instance {victim.name} stops")
                victim.end()
            self._retired = [one for one in self._retired if one.state is not State.STOPPED]

    def try_acquire(self, *, limit: int | None = None) -> Instance | None:
        """Take the ready instance with the fewest requests; None when there is none, or all have `limit` of them."""
        with self.changed:
            ready = [one for one in self._instances if one.state is State.IN_SERVICE]
            ready = [one for one in ready if limit is None or one.outstanding < limit]
            if not ready:
                return None
            chosen = min(ready, key=lambda one: one.outstanding)
            chosen.outstanding += 1
            return chosen

    def release(self, instance: Instance) -> None:
        """Give an instance back."""
        with self.changed:
            instance.outstanding -= 1
            self.changed.notify_all()

    @contextmanager
    def acquired(self) -> Iterator[Instance | None]:
        """Take an instance for the length of the block."""
        instance = self.try_acquire()
        try:
            yield instance
        finally:
            if instance is not None:
                self.release(instance)

    def close(self) -> None:
        """Stop every instance and wait until all are gone."""
        with self.changed:
            self._closed = True
            self._desired = 0
        self.keep()
        with self.changed:
            leaving = list(self._retired)
        for instance in leaving:
            instance.join()

    def _add(self) -> None:
        name = f"i-{next(ids):017x}"
        instance = Instance(name, self._launch(name), self._patience, self._ready_s, self._heard)
        self._instances.append(instance)
        self._tell(f"instance {name} starts")
        instance.start()

    def _heard(self) -> None:
        with self.changed:
            self.changed.notify_all()
