"""What to run against a server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

PING_EVERY_S = 0.1
"""SageMaker asks every 5 s. Asked every 20 ms, two cores spent a twentieth of their time on it."""

Arrivals = Literal["poisson", "even"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """One recording, ready to be sent.

    Attributes:
        body: The bytes of a WAV file.
        duration_s: Seconds of audio.
        windows: How many windows the container cuts it into. It is counted once, before anything is measured, and
            is the same for every server: windows per second would mean nothing if each counted its own.
    """

    body: bytes
    duration_s: float
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """So many callers, each of whom sends a request as soon as the last was answered.

    Attributes:
        callers: How many.
        seconds: How long to count answers, from the moment in which every caller has had his first.
        answers: And longer, until so many have been counted: a slow server must not look as if it did nothing.
    """

    callers: int
    seconds: float
    answers: int = 0

    def __post_init__(self) -> None:
        if self.callers < 1 or self.seconds <= 0:
            raise ValueError(f"{self.callers} callers for {self.seconds} s make no load; both must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """So many requests a second, whether or not the last were answered: strangers do not wait for one another.

    Attributes:
        rate_per_s: Requests a second, on average.
        seconds: How long requests go out; afterwards the last answers are waited for.
        arrivals: `poisson` for strangers, `even` for a metronome.
        seed: Of the random arrivals: equal seeds give equal arrivals.
    """

    rate_per_s: float
    seconds: float
    arrivals: Arrivals = "poisson"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate_per_s <= 0 or self.seconds <= 0:
            raise ValueError(f"{self.rate_per_s} requests/s for {self.seconds} s make no load; both must be above 0")

    def dues_s(self) -> list[float]:
        """Return when each request is to go out, in seconds from the start, ascending; at least one.

        Example:
            >>> Open(rate_per_s=2, seconds=1.5, arrivals="even").dues_s()
            [0.0, 0.5, 1.0]
        """
        count = max(1, round(self.rate_per_s * self.seconds))
        if self.arrivals == "even":
            return [number / self.rate_per_s for number in range(count)]
        # Given how many arrivals a Poisson process has in a time, they lie in it as if each were thrown at random. So
        # every seed sends equally many requests, and only their crowding differs.
        thrown = np.random.default_rng(self.seed).uniform(0, self.seconds, count)
        return [float(due_s) for due_s in np.sort(thrown)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One measurement.

    Attributes:
        load: Who sends.
        recordings: What is sent, in rotation.
        company: Recordings that are kept in flight all the while, each by a caller of its own, and not counted.
        ping_every_s: How often /ping is asked meanwhile.
    """

    load: Closed | Open
    recordings: tuple[Recording, ...]
    company: tuple[Recording, ...] = ()
    ping_every_s: float = PING_EVERY_S

    def __post_init__(self) -> None:
        if not self.recordings:
            raise ValueError("a plan needs at least one recording to send")
