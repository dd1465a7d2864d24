"""Lets servers take turns under every load, and keeps what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from fleet.load.driver import run
from fleet.load.errors import CannotMeasure
from fleet.load.plan import Arrivals, Closed, Open, Plan, Recording
from fleet.load.record import OURS, Kind, Measured, label_of
from fleet.load.runs import Run
from fleet.load.sides import Side
from fleet.load.summary import summarise

Member = TypeVar("Member")

SHARE_OF_BEST = 0.6
"""Of the best closed-loop rate, for the open loop: busy, and not yet full."""

CROWD_PING_EVERY_S = 0.02
"""For the sake of the percentiles of a short run; nobody's throughput is taken from it."""

LEAST_ANSWERS = 5
LEAST_ANSWERS_PER_CALLER = 2
"""That a closed loop is measured by, however long they take."""


def in_turn(members: Sequence[Member], number: int) -> list[Member]:
    """Return all of them, another one first for each number."""
    first = number % len(members)
    return [*members[first:], *members[:first]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The loads that every server is put under.

    Attributes:
        callers: Of the closed loops, each with every length of recordings.
        recordings: By their length in seconds, the shortest first.
        seconds: How long each load runs.
    """

    callers: tuple[int, ...]
    recordings: Mapping[int, tuple[Recording, ...]]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One load on one server, as the record will name it."""

    side: str
    kind: Kind
    recording_s: int
    callers: int = 0
    rate_per_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Turns:
    """The servers under load, one at a time; the others are frozen.

    Attributes:
        loads: What each of them gets.
        sides: The servers, frozen to begin with; others of the same names may take their places between two loads.
        tell: Called before each measurement with what it will be.
        mix_log: What our log said while the mix ran.
    """

    loads: Loads
    sides: Sequence[Side]
    tell: Callable[[str], None]
    mix_log: list[str] = field(default_factory=list)
    _runs: dict[_Cell, list[Run]] = field(default_factory=lambda: defaultdict(list))
    _idle_cpu_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _idle_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _rate_per_s: float | None = None
    _turn: int = 0

    def closed(self, length_s: int, *, beside: Callable[[], None] | None = None) -> None:
        """Run the closed loops with recordings of one length.

        Args:
            length_s: Of the recordings.
            beside: Measures what is no server, while all servers are frozen; called right before our side has the most
                callers, so that the two that will be compared have the machine at the same speed.
        """
        most = max(self.loads.callers)
        for callers in self.loads.callers:
            plan = Plan(load=self._callers(callers), recordings=self.loads.recordings[length_s])
            for side in self._in_turn():
                if beside and callers == most and side.name == self._ours:
                    beside()
                self._run(side, _Cell(side=side.name, kind="closed", recording_s=length_s, callers=callers), plan)

    def open(self, *, rate_per_s: float | None, arrivals: Arrivals, seed: int) -> None:
        """Run the open loop with the shortest recordings; after `closed`, which tells the rate.

        Args:
            rate_per_s: Requests a second; None takes a share of the best closed loop.
            arrivals: How they follow one another.
            seed: Of the random ones.
        """
        length_s = min(self.loads.recordings)
        if self._rate_per_s is None:
            self._rate_per_s = rate_per_s or SHARE_OF_BEST * self._best_rate(length_s)
        load = Open(rate_per_s=self._rate_per_s, seconds=self.loads.seconds, arrivals=arrivals, seed=seed)
        plan = Plan(load=load, recordings=self.loads.recordings[length_s])
        for side in self._in_turn():
            cell = _Cell(side=side.name, kind="open", recording_s=length_s, rate_per_s=self._rate_per_s)
            self._run(side, cell, plan)

    def mix(self, short: tuple[Recording, ...], *, long: Recording) -> None:
        """Send short recordings while the long one is in flight, and keep what our log says of that time."""
        plan = Plan(load=self._callers(1), recordings=short, company=(long,))
        length_s = round(short[0].duration_s)
        for side in self._in_turn():
            start = side.log_size()
            self._run(side, _Cell(side=side.name, kind="mix", recording_s=length_s, callers=1), plan)
            if side.name == OURS:
                self.mix_log += side.log_since(start)

    def crowd(self, callers: int, *, sides: Iterable[Side]) -> None:
        """Ask /ping in a crowd, of so many callers, at some of the servers."""
        length_s = min(self.loads.recordings)
        plan = Plan(
            load=self._callers(callers), recordings=self.loads.recordings[length_s], ping_every_s=CROWD_PING_EVERY_S
        )
        for side in sides:
            self._run(side, _Cell(side=side.name, kind="crowd", recording_s=length_s, callers=callers), plan)

    def measured(self) -> Iterator[Measured]:
        """Sum up what was run."""
        for cell, runs in self._runs.items():
            yield Measured(
                side=cell.side,
                kind=cell.kind,
                recording_s=cell.recording_s,
                callers=cell.callers,
                rate_per_s=cell.rate_per_s,
                summary=summarise(runs),
            )

    def idle_cpu(self) -> dict[str, float]:
        """Return the part of a core that each server used while others were measured."""
        return {name: self._idle_cpu_s[name] / seconds for name, seconds in self._idle_s.items()}

    @property
    def _ours(self) -> str:
        """Our side, or the first when ours is not measured."""
        names = [side.name for side in self.sides]
        return OURS if OURS in names else names[0]

    def _callers(self, number: int) -> Closed:
        return Closed(
            callers=number, seconds=self.loads.seconds, answers=max(LEAST_ANSWERS, number * LEAST_ANSWERS_PER_CALLER)
        )

    def _in_turn(self) -> list[Side]:
        """Return the sides, another one first each time."""
        self._turn += 1
        return in_turn(self.sides, self._turn - 1)

    def _run(self, side: Side, cell: _Cell, plan: Plan) -> None:
        who = f"{cell.callers} callers" if cell.callers else f"{cell.rate_per_s:.1f} requests/s"
        self.tell(f"{label_of(side.name)}: {cell.kind}, {who}, {cell.recording_s} s")
        others = [other for other in self.sides if other is not side]
        used_s = {other.name: other.cpu_s() for other in others}
        side.thaw()
        try:
            ran = run(plan, side.url)
        except CannotMeasure as error:
            side.check()  # that it has died says more than that nobody listens
            raise CannotMeasure(f"{side.name}: {error}") from error
        side.check()
        side.freeze()
        for other in others:
            self._idle_cpu_s[other.name] += other.cpu_s() - used_s[other.name]
            self._idle_s[other.name] += ran.closed_s - ran.opened_s
        self._runs[cell].append(ran)

    def _best_rate(self, length_s: int) -> float:
        """Return our side's best closed-loop rate."""
        best = max(
            summarise(runs).requests_per_s
            for cell, runs in self._runs.items()
            if (cell.side, cell.kind, cell.recording_s) == (self._ours, "closed", length_s)
        )
        if not best:
            raise CannotMeasure(
                f"{self._ours} transcribed nothing in the closed loop, so there is no rate for the open one"
            )
        return best
