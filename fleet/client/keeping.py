"""Results -> files and facts: what became of jobs, fetched from S3."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from fleet.client.answers import Facts, facts_of, failure_of
from fleet.client.aws import CONNECTIONS, asking, is_absent
from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Ending, Job
from fleet.client.recordings import S3_URI

FAILURE_ENDING = ".error.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a job; `facts` of a transcript, or `failure`, a sentence."""

    job: Job
    ending: Ending
    facts: Facts | None
    failure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Fetches what jobs left in S3, and writes it into a folder, if there is one."""

    s3: Any  # boto3's clients have no types of their own
    region: str
    folder: Path | None

    def keep(self, ends: list[tuple[Job, Ending]]) -> list[Outcome]:
        """Fetch and write what some jobs left, in order.

        Raises:
            CannotCall: S3 refuses a transcript, or the folder cannot be written.
        """
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return list(pool.map(lambda end: self._outcome(*end), ends))

    def _outcome(self, job: Job, ending: Ending) -> Outcome:
        if ending.is_done:
            body = self._content(job.output)
            if body is None:
                raise CannotCall(f"the transcript {job.output} was there and is gone; does a lifecycle rule remove it?")
            write(self.folder, f"{job.name}{job.ending}", body)
            return Outcome(job=job, ending=ending, facts=facts_of(body), failure="")
        failure = self._failure(job) or ending.reason or "no reason was given"
        write(self.folder, f"{job.name}{FAILURE_ENDING}", f"{failure}\n".encode())
        return Outcome(job=job, ending=ending, facts=None, failure=failure)

    def _failure(self, job: Job) -> str:
        """Return what stands in the failure object, which may never have been written; empty if nothing can be read."""
        try:
            return failure_of((self._content(job.failure) if job.failure else None) or b"")
        except CannotCall:
            return ""

    def _content(self, address: str) -> bytes | None:
        found = S3_URI.fullmatch(address)
        if found is None:
            raise CannotCall(f"{address} is not the address of an object")
        with asking(self.region, about=f"the bucket {found['bucket']}"):
            try:
                content: bytes = self.s3.get_object(Bucket=found["bucket"], Key=found["key"])["Body"].read()
            except ClientError as error:
                if is_absent(error):
                    return None
                raise
            return content


def folder_for(named: str | None) -> Path | None:
    """Make the folder that answers go to; None for none.

    Raises:
        Misused: It cannot be made.
    """
    if named is None:
        return None
    try:
        Path(named).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misused(f"--out {named} cannot be a folder ({error.strerror}); name another") from error
    return Path(named)


def write(folder: Path | None, name: str, content: bytes) -> None:
    """Write a file, unless there is no folder.

    Raises:
        CannotCall: It cannot be written.
    """
    if folder is None:
        return
    try:
        (folder / name).write_bytes(content)
    except OSError as error:
        raise CannotCall(f"{folder / name} cannot be written ({error.strerror}); the answer stays in S3") from error
