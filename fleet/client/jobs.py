"""Asynchronous invocations, and the ledger that outlives the command that submitted them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fleet.client.errors import CannotCall, Misused

LONGEST_NAME = 150
"""Bytes of a job's name; file systems take 255 with its ending and a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One asynchronous invocation that SageMaker has accepted.

    Attributes:
        name: Unique within its ledger; files are named by it.
        recording: Address of the input.
        output, failure: Where one of the two will be; None when the endpoint keeps no failures.
        inference_id: By which notifications name it.
        submitted_s: Seconds since 1970, on this machine's clock.
        accepted_s: The same moment on AWS's clock, whole seconds.
        region, endpoint: Where it was submitted.
        ending: The ending of a file that holds its answer.
    """

    name: str
    recording: str
    output: str
    failure: str | None
    inference_id: str
    submitted_s: float
    accepted_s: float
    region: str
    endpoint: str
    ending: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What became of a job.

    Attributes:
        is_done: Whether there is a transcript; otherwise it failed.
        took_s: From acceptance to the end, on AWS's clock: to the millisecond from a notification, to the second from
            the object in S3.
        reason: Why it failed, as the notification says; empty when nobody said.
    """

    is_done: bool
    took_s: float
    reason: str = ""


def names_for(recordings: Sequence[str]) -> list[str]:
    """Return a name for each recording that no other has and that can be a file's.

    Example:
        >>> names_for(["a.wav", "b.wav", "a.wav", "a-2.wav"])
        ['a', 'b', 'a-2', 'a-2-2']
    """
    names: list[str] = []
    taken: set[str] = set()
    for recording in recordings:
        stem = "".join(letter if letter.isprintable() and letter not in "/\\:" else "_" for letter in recording)
        stem = Path(stem).stem.encode()[:LONGEST_NAME].decode(errors="ignore") or "recording"
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names.append(name)
    return names


@dataclass(frozen=True, slots=True)
class Ledger:
    """A file with a line for each job, written as they are accepted."""

    path: Path

    def begin(self) -> None:
        """Make the file.

        Raises:
            Misused: It cannot be made, or is there already.
        """
        try:
            if self.path.exists():
                raise Misused(f"{self.path} is there already; fetch its jobs with --resume, or name another")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("x").close()
        except OSError as error:
            raise Misused(f"the ledger {self.path} cannot be written ({error.strerror}); see --ledger") from error

    def add(self, job: Job) -> None:
        """Write one job.

        Raises:
            CannotCall: The disk is full or gone; the message has what would be lost.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(asdict(job), ensure_ascii=False)}\n")
        except OSError as error:
            raise CannotCall(
                f"the ledger {self.path} cannot be written ({error.strerror}); the job of {job.recording} runs, and "
                f"its transcript will be {job.output}"
            ) from error

    def drop_if_empty(self) -> None:
        """Remove the file when no job was accepted."""
        if self.path.exists() and self.path.stat().st_size == 0:
            self.path.unlink()

    def jobs(self) -> list[Job]:
        """Read the jobs.

        Raises:
            Misused: The file cannot be read, or is no ledger.
        """
        try:
            jobs = [Job(**json.loads(line)) for line in self.path.read_text("utf-8").splitlines()]
        except OSError as error:
            raise Misused(f"the ledger {self.path} cannot be read ({error.strerror})") from error
        except (ValueError, TypeError) as error:
            raise Misused(f"{self.path} is no ledger; invoke_async.py writes one and says where") from error
        if not jobs:
            raise Misused(f"the ledger {self.path} has no jobs")
        return jobs


def counted(count: int, thing: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "job"), counted(2, "job")
        ('1 job', '2 jobs')
    """
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def listed(names: Iterable[str], *, at_most: int = 12) -> str:
    """Return names for a sentence, the first ones and how many more.

    Example:
        >>> listed(["a", "b", "c"], at_most=2)
        'a, b and 1 more'
    """
    every = list(names)
    more = len(every) - at_most
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:at_most])} and {more} more"
