"""What the driver saw, in seconds on its own clock."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.load.plan import PING_EVERY_S, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One request.

    Attributes:
        recording: What was sent.
        due_s: When it was to be sent. In an open loop that is the arrival, however late it could be sent: somebody who
            came while the senders were busy waited for that too (no coordinated omission).
        done_s: When the whole answer had come.
        status: HTTP status; 0 when no answer came.
        complaint: What went wrong, in words; empty for a transcript.
    """

    recording: Recording
    due_s: float
    done_s: float
    status: int
    complaint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """One question for /ping; `status` is 0 when no answer came."""

    due_s: float
    done_s: float
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One plan, run once.

    Attributes:
        opened_s: From when on answers count.
        closed_s: Until when they count.
        samples: Every request, those before and after that time included.
        company: The requests of the plan's company.
        pings: Every ping.
        ping_every_s: How often /ping was to be asked.
    """

    opened_s: float
    closed_s: float
    samples: tuple[Sample, ...]
    company: tuple[Sample, ...] = ()
    pings: tuple[Ping, ...] = ()
    ping_every_s: float = PING_EVERY_S
