"""Many jobs at once: uploaded, submitted, written into a ledger, and waited for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError

from fleet.client.commands import Stage
from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Job, Ledger, counted, listed, names_for
from fleet.client.progress import Progress
from fleet.client.recordings import LocalFile, Recording, S3Object
from fleet.client.submitting import Desk
from fleet.client.waiting import Both, End, Looker, Notifications, Objects, rounds
from fleet.client.wishes import Wishes


class Stopped(CannotCall):
    """Some jobs were submitted and others not; everything has been told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How jobs are waited for.

    Attributes:
        every_s: Time between two looks.
        patience_s: When to give up waiting; the jobs go on.
    """

    every_s: float
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Jobs for one endpoint that are submitted together.

    Attributes:
        folder: Where in S3 files are uploaded to; None when there are none.
        again: The command that fetches what jobs of the ledger left.
    """

    desk: Desk
    wishes: Wishes
    ledger: Ledger
    folder: S3Object | None
    again: str
    stage: Stage

    def submit(self, recordings: Sequence[Recording]) -> list[Job]:
        """Upload what is on this machine, then submit everything.

        Args:
            recordings: One for each job; one that is there several times is uploaded once.

        Raises:
            Misused: There are files and no folder to upload them to.
            Stopped: AWS refused, or somebody interrupted; what was submitted and what was not has been told.
            CannotCall: The endpoint takes no jobs; nothing was uploaded.
        """
        files = [one for one in dict.fromkeys(recordings) if isinstance(one, LocalFile)]
        if files and self.folder is None:
            raise Misused(
                f"{files[0]} is on this machine; add --bucket, where to upload it to for the endpoint to read"
            )
        self.desk.look()
        self.ledger.begin()
        try:
            uploaded = self._upload(files)
            return self._submit(recordings, uploaded)
        finally:
            self.ledger.drop_if_empty()

    def _submit(self, recordings: Sequence[Recording], uploaded: Mapping[LocalFile, S3Object]) -> list[Job]:
        places = [uploaded[one] if isinstance(one, LocalFile) else one for one in recordings]
        names = names_for([one.name for one in recordings])
        jobs: list[Job] = []
        progress = self._progress("submitted", len(recordings))
        try:
            for name, place in zip(names, places, strict=True):
                job = self.desk.submit(name, place, self.wishes)
                jobs.append(job)
                self.ledger.add(job)
                progress.show(len(jobs))
        except (CannotCall, KeyboardInterrupt) as error:
            progress.close()
            self.stage.warn(str(error) or "interrupted")
            self.stage.warn(f"{len(jobs)} of {counted(len(recordings), 'job')} submitted")
            if isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, BotoCoreError):
                self.stage.warn(f"whether {recordings[len(jobs)]} was accepted is not known")
            if jobs:
                self.stage.warn(f"they go on; to fetch what they leave: {self.again}")
            left = listed(str(one) for one in recordings[len(jobs) :])
            raise Stopped(f"not submitted: {left}") from error
        progress.close()
        if jobs and jobs[0].failure is None:
            self.stage.warn(
                f"note: the endpoint {self.desk.endpoint} keeps no failures (S3FailurePath), so a job that fails is "
                "only seen through --queue-url"
            )
        return jobs

    def wait(self, jobs: Sequence[Job], looker: Looker, patience: Patience) -> Iterator[list[End]]:
        """Yield what ended since the last look; see `rounds`."""
        return rounds(
            jobs,
            looker,
            every_s=patience.every_s,
            patience_s=patience.patience_s,
            clock=self.stage.clock,
            sleep=self.stage.sleep,
        )

    def _upload(self, files: Sequence[LocalFile]) -> dict[LocalFile, S3Object]:
        if not files or self.folder is None:
            return {}
        own = S3Object(self.folder.bucket, f"{self.folder.key}{uuid.uuid4().hex[:12]}/")
        progress = self._progress("uploaded", len(files))
        there: list[int] = []

        def tell(count: int) -> None:
            there.append(count)
            progress.show(count)

        try:
            places = self.desk.upload(files, own, tell)
        except (CannotCall, KeyboardInterrupt) as error:
            progress.close()
            self.stage.warn(str(error) or "interrupted")
            left = f"{counted(there[-1], 'recording')} uploaded, below {own}" if there else "nothing was uploaded"
            raise Stopped(f"no job was submitted; {left}") from error
        progress.close()
        return dict(zip(files, places, strict=True))

    def _progress(self, what: str, total: int) -> Progress:
        return Progress(what=what, total=total, screen=self.stage.screen, clock=self.stage.clock)


def looker_for(desk: Desk, queue: str | None, stage: Stage) -> Looker:
    """Return where ends of jobs are seen: in S3, or first of all in the SQS queue of an address.

    Raises:
        CannotCall: The queue cannot be read.
    """
    objects = Objects(s3=desk.client("s3"), region=desk.region, warn=stage.warn)
    if queue is None:
        return objects
    heard = Notifications(sqs=desk.client("sqs"), queue=queue, region=desk.region)
    heard.check()
    return Both(first=heard, second=objects, clock=stage.clock)
