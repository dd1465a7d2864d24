"""Jobs -> what became of them: by looking into S3, or by notifications that come through a queue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError

from fleet.client.aws import CONNECTIONS, asking, is_absent, is_silent
from fleet.client.jobs import Ending, Job
from fleet.client.recordings import S3_URI

End = tuple[Job, Ending]

SECOND_LOOK_S = 60.0
"""How often S3 is asked although notifications are expected: they are delivered at least once, if at all."""

LONGEST_POLL_S = 20
"""`WaitTimeSeconds` of ReceiveMessage (service model, sqs)."""

MESSAGES = 10
"""`MaxNumberOfMessages` of ReceiveMessage (service model, sqs)."""


class Looker(Protocol):
    """Where ends of jobs are seen."""

    def look(self, jobs: Sequence[Job], *, within_s: float) -> list[End]:
        """Return which of the jobs have ended.

        Args:
            jobs: Those that have not ended yet.
            within_s: How long it may wait for the first, if it can.

        Raises:
            CannotCall: AWS refuses.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Objects:
    """Looks whether a job's output or its failure is in S3."""

    s3: Any  # boto3's clients have no types of their own
    region: str
    warn: Callable[[str], None]
    _has_warned: bool = False

    def look(self, jobs: Sequence[Job], *, within_s: float) -> list[End]:  # noqa: ARG002 - S3 cannot be waited for
        """Return which of the jobs have ended; see `Looker`."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return [(job, ending) for job, ending in zip(jobs, pool.map(self._ending, jobs), strict=True) if ending]

    def _ending(self, job: Job) -> Ending | None:
        for address, is_done in ((job.output, True), (job.failure, False)):
            ended_s = self._written_s(address) if address else None
            if ended_s is not None:
                return Ending(is_done=is_done, took_s=max(0.0, ended_s - job.accepted_s))
        return None

    def _written_s(self, address: str) -> float | None:
        """Return when an object was written, seconds since 1970; None while it is not there."""
        found = S3_URI.fullmatch(address)
        if found is None:
            return None
        with asking(self.region, about=f"the bucket {found['bucket']}"):
            try:
                head = self.s3.head_object(Bucket=found["bucket"], Key=found["key"])
            except ClientError as error:
                if is_absent(error):
                    return None
                if is_silent(error):
                    self._warn_once(found["bucket"])
                    return None
                raise
        written_s: float = head["LastModified"].timestamp()
        return written_s

    def _warn_once(self, bucket: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self.warn(
                f"S3 answers 403 for {bucket}, as it does for objects that are not there yet when you may not "
                "s3:ListBucket; going on, but if it stays so, see docs/iam.md for what callers need"
            )


@dataclass(slots=True, kw_only=True)
class Notifications:
    """Hears through an SQS queue what the endpoint's topics are told; messages about other jobs are left in it."""

    sqs: Any  # boto3's clients have no types of their own
    queue: str
    region: str

    def check(self) -> None:
        """Look whether the queue can be read, and take nothing out of it.

        Raises:
            CannotCall: It cannot.
        """
        with asking(self.region, about=f"the queue {self.queue}"):
            self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=1, VisibilityTimeout=0, WaitTimeSeconds=0)

    def look(self, jobs: Sequence[Job], *, within_s: float) -> list[End]:
        """Return which of the jobs have ended; see `Looker`."""
        waiting = {job.inference_id: job for job in jobs}
        ends: dict[str, End] = {}
        poll_s = min(LONGEST_POLL_S, max(0, round(within_s)))
        while True:
            with asking(self.region, about=f"the queue {self.queue}"):
                got = self.sqs.receive_message(
                    QueueUrl=self.queue, MaxNumberOfMessages=MESSAGES, WaitTimeSeconds=0 if ends else poll_s
                ).get("Messages", [])
                ours = []
                for message in got:
                    notification = _notification(message.get("Body", ""))
                    job = waiting.get(str(notification.get("inferenceId")))
                    if job is not None:
                        ends[job.inference_id] = (job, _told(notification, job))
                    if job is not None or notification.get("eventName") == "TestNotification":
                        ours.append(message)
                self._delete(ours)
            if not ours or len(ends) == len(waiting):
                return list(ends.values())

    def _delete(self, messages: Iterable[Mapping[str, Any]]) -> None:
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])


@dataclass(slots=True, kw_only=True)
class Both:
    """Notifications, and now and then a look into S3 for those that never came."""

    first: Looker
    second: Looker
    clock: Callable[[], float]
    _looked_s: float | None = field(default=None)

    def look(self, jobs: Sequence[Job], *, within_s: float) -> list[End]:
        """Return which of the jobs have ended; see `Looker`."""
        ends = self.first.look(jobs, within_s=within_s)
        now_s = self.clock()
        if self._looked_s is None:
            self._looked_s = now_s
        if now_s - self._looked_s < SECOND_LOOK_S:
            return ends
        self._looked_s = now_s
        heard = {job.name for job, _ in ends}
        return ends + self.second.look([job for job in jobs if job.name not in heard], within_s=0)


def rounds(
    jobs: Sequence[Job],
    looker: Looker,
    *,
    every_s: float,
    patience_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> Iterator[list[End]]:
    """Look again and again, and yield what ended since the last look, which may be nothing.

    Ends when all jobs have, or when patience is over.

    Args:
        jobs: What to wait for.
        looker: Where ends are seen.
        every_s: Time from one look to the next; a looker that can wait does so within it.
        patience_s: How long to go on.
        clock: Seconds.
        sleep: Takes seconds.

    Raises:
        CannotCall: AWS refuses.
    """
    waiting = {job.name: job for job in jobs}
    begun_s = clock()
    while waiting:
        looked_s = clock()
        ends = looker.look(list(waiting.values()), within_s=every_s)
        for job, _ in ends:
            waiting.pop(job.name, None)
        yield ends
        if not waiting or clock() - begun_s >= patience_s:
            return
        sleep(max(0.0, looked_s + every_s - clock()))


def _told(notification: Mapping[str, Any], job: Job) -> Ending:
    """Read one notification (dg/async-inference-check-predictions.html)."""
    times = [_moment_s(notification.get(name)) for name in ("receivedTime", "eventTime")]
    received_s, ended_s = times[0] or job.accepted_s, times[1] or job.accepted_s
    is_done = notification.get("invocationStatus") == "Completed"
    reason = "" if is_done else str(notification.get("failureReason") or "")
    return Ending(is_done=is_done, took_s=max(0.0, ended_s - received_s), reason=reason)


def _moment_s(stamp: object) -> float | None:
    try:
        return datetime.fromisoformat(str(stamp)).timestamp()
    except ValueError:
        return None


def _notification(body: str) -> Mapping[str, Any]:
    """Take a notification out of a message: raw, or wrapped by SNS."""
    try:
        document = json.loads(body)
        if isinstance(document, dict) and isinstance(document.get("Message"), str):
            document = json.loads(document["Message"])
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
