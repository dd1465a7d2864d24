"""Runs a plan against a server: a thread and a line for each caller, one more for /ping."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from fleet.load.errors import CannotMeasure
from fleet.load.http_line import HttpLine, Line, Reply
from fleet.load.plan import Closed, Open, Plan, Recording
from fleet.load.runs import Ping, Run, Sample

MOST_SENDERS = 256
"""Lines of an open loop. When all of them wait, further requests go out late; their latency counts from when they were
due all the same."""

PAUSE_AFTER_ERROR_S = 0.1
"""A caller who is refused does not ask again at once: a server that refuses quickly would see nothing else."""

LOOK_AGAIN_S = 0.1


def run(
    plan: Plan, url: str, *, until: threading.Event | None = None, answered: Callable[[], object] | None = None
) -> Run:
    """Run one plan from its first request to its last answer, asking /ping all the while.

    What is in flight when the time is up is waited for, so that nothing of it disturbs the next plan.

    Args:
        plan: Who sends what.
        url: Of the server.
        until: Ends the plan before its time when it is set.
        answered: Called by a closed loop's callers after each answer, by several at once.

    Raises:
        CannotMeasure: The server went away, or answered 200 with what is no transcript.
    """
    return drive(plan, lambda: HttpLine(url), until=until, answered=answered)


def drive(
    plan: Plan,
    connect: Callable[[], Line],
    *,
    clock: Callable[[], float] = time.perf_counter,
    until: threading.Event | None = None,
    answered: Callable[[], object] | None = None,
) -> Run:
    """Do what `run` does, over any kind of line and on any monotonic clock."""
    stage = _Stage(connect=connect, clock=clock, answered=answered, _is_over=until or threading.Event())
    with stage.open():
        stage.enter(partial(stage.ask_pings, plan.ping_every_s))
        for recording in plan.company:
            stage.enter(partial(stage.keep_company, recording))
        if isinstance(plan.load, Closed):
            opened_s, closed_s = stage.closed_loop(plan.load, plan.recordings)
        else:
            opened_s, closed_s = stage.open_loop(plan.load, plan.recordings)
    return Run(
        opened_s=opened_s,
        closed_s=closed_s,
        samples=tuple(stage.samples),
        company=tuple(stage.company),
        pings=tuple(stage.pings),
        ping_every_s=plan.ping_every_s,
    )


def complaint_of(reply: Reply) -> str:
    """Say what is wrong with an answer; empty for a transcript.

    Raises:
        CannotMeasure: It is 200, and no transcript.
    """
    if reply.status == 0:
        return f"no answer: {reply.body.decode(errors='replace')}"
    if reply.status != 200:
        return f"{reply.status} {reply.body[:200].decode(errors='replace')}".strip()
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise CannotMeasure(f"the server answered 200 with what is no transcript: {reply.body[:80]!r}")
    return ""


@dataclass(slots=True, kw_only=True)
class _Stage:
    """The threads of one run, and what they write down; appending to a list needs no lock in CPython."""

    connect: Callable[[], Line]
    clock: Callable[[], float]
    answered: Callable[[], object] | None
    samples: list[Sample] = field(default_factory=list)
    company: list[Sample] = field(default_factory=list)
    pings: list[Ping] = field(default_factory=list)
    _all_answered: threading.Event = field(default_factory=threading.Event)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _failures: list[BaseException] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lines: list[Line] = field(default_factory=list)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let everybody finish what he is at when the block is done; on any other way out cut the lines."""
        try:
            yield
            self._is_over.set()
            self._wait_for(self._threads)
        finally:
            self._is_over.set()
            while any(thread.is_alive() for thread in self._threads):
                for line in self._lines:
                    line.hang_up()
                for thread in self._threads:
                    thread.join(LOOK_AGAIN_S)
        if self._failures:
            raise self._failures[0]

    def enter(self, play: Callable[[Line], None]) -> threading.Thread:
        """Start a thread with a line of its own."""
        line = self.connect()
        self._lines.append(line)
        thread = threading.Thread(target=self._play, args=(play, line), name="load", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def closed_loop(self, load: Closed, recordings: tuple[Recording, ...]) -> tuple[float, float]:
        """Let callers call until the time is up; return from when until when answers count: both moments of an answer.

        Callers who share batches are answered in bursts. A span that ended anywhere between two of them would count
        time in which the next was all but done.
        """
        numbers = itertools.count()
        first_answers = itertools.count(1)

        def tick_off() -> None:
            """Wait for one caller less."""
            if next(first_answers) == load.callers:
                self._all_answered.set()

        def call(line: Line) -> None:
            is_first = True
            while not self._is_over.is_set():
                recording = recordings[next(numbers) % len(recordings)]
                self.samples.append(self._ask(line, recording, due_s=self.clock()))
                if self.answered:
                    self.answered()
                if is_first:
                    tick_off()
                is_first = False
            if is_first:  # the plan was over before this caller began
                tick_off()

        for _ in range(load.callers):
            self.enter(call)
        self._all_answered.wait()
        opened_s = self.clock()
        enough = len(self.samples) + load.answers
        self._is_over.wait(load.seconds)
        while len(self.samples) < enough and not self._is_over.is_set():
            self._is_over.wait(LOOK_AGAIN_S)
        now_s = self.clock()
        answered_s = [it.done_s for it in tuple(self.samples) if opened_s < it.done_s <= now_s and not it.complaint]
        return opened_s, max(answered_s, default=now_s)

    def open_loop(self, load: Open, recordings: tuple[Recording, ...]) -> tuple[float, float]:
        """Send each request when it is due; return when the first was due and when the last was answered."""
        numbers = itertools.count()
        dues_s = load.dues_s()
        started_s = self.clock()

        def send(line: Line) -> None:
            while (number := next(numbers)) < len(dues_s):
                due_s = started_s + dues_s[number]
                if self._is_over.wait(max(0.0, due_s - self.clock())):
                    return
                self.samples.append(self._ask(line, recordings[number % len(recordings)], due_s=due_s))

        self._wait_for([self.enter(send) for _ in range(min(len(dues_s), MOST_SENDERS))])
        return started_s + dues_s[0], self.clock()

    def keep_company(self, recording: Recording, line: Line) -> None:
        """Keep one recording in flight."""
        while not self._is_over.is_set():
            self.company.append(self._ask(line, recording, due_s=self.clock()))

    def ask_pings(self, every_s: float, line: Line) -> None:
        """Ask /ping at every tick; ticks that pass while an answer is awaited are left out here and counted later."""
        started_s = self.clock()
        tick = 0
        while True:
            due_s = started_s + tick * every_s
            if self._is_over.wait(max(0.0, due_s - self.clock())):
                return
            reply = line.ask("GET", "/ping")
            done_s = self.clock()
            self.pings.append(Ping(due_s=due_s, done_s=done_s, status=reply.status))
            tick = max(tick + 1, math.ceil((done_s - started_s) / every_s))

    def _ask(self, line: Line, recording: Recording, *, due_s: float) -> Sample:
        reply = line.ask("POST", "/invocations", recording.body)
        done_s = self.clock()
        complaint = complaint_of(reply)
        if complaint:
            self._is_over.wait(PAUSE_AFTER_ERROR_S)
        return Sample(recording=recording, due_s=due_s, done_s=done_s, status=reply.status, complaint=complaint)

    def _play(self, play: Callable[[Line], None], line: Line) -> None:
        try:
            play(line)
        except BaseException as error:  # noqa: BLE001 - it is raised again by the thread that waits
            self._failures.append(error)
            self._is_over.set()
            self._all_answered.set()
        finally:
            line.close()

    def _wait_for(self, threads: list[threading.Thread]) -> None:
        """Join threads. One that failed ends the run, and then nobody waits for answers any more."""
        for thread in threads:
            while thread.is_alive():
                thread.join(LOOK_AGAIN_S)
                if self._failures:
                    raise self._failures[0]
