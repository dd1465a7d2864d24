"""What all errands share: where they speak, the time, and how they end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from fleet.client.errors import CannotCall, Misused

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses; the last is what a shell makes of Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where an errand happens.

    Attributes:
        print: Takes a line of what was asked for: transcripts and tables.
        tell: Takes a line about how it goes.
        warn: Takes a line about what is wrong.
        screen: Where progress is shown.
        columns: Width of a table.
        now: Seconds since 1970.
        clock: Seconds that never go back.
        sleep: Takes seconds.
    """

    print: Callable[[str], None]
    tell: Callable[[str], None]
    warn: Callable[[str], None]
    screen: TextIO
    columns: int
    now: Callable[[], float]
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def stage_of(script: str, columns: int) -> Stage:
    """Return the stage of a script: transcripts to stdout, everything else to stderr."""

    def warn(line: str) -> None:
        print(f"{script}: {line}", file=sys.stderr, flush=True)  # noqa: T201 - this is where errands speak

    return Stage(
        print=lambda line: print(line, flush=True),  # noqa: T201 - as above
        tell=lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201 - as above
        warn=warn,
        screen=sys.stderr,
        columns=columns,
        now=time.time,
        clock=time.monotonic,
        sleep=time.sleep,
    )


def run(errand: Callable[[], int], stage: Stage) -> int:
    """Run an errand and return the exit status; whatever keeps it from being done becomes one line."""
    try:
        return errand()
    except Misused as error:
        stage.warn(str(error))
        return MISUSED
    except CannotCall as error:
        stage.warn(str(error))
        return FAILED
    except KeyboardInterrupt:
        stage.warn("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # who reads has seen enough, such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
