from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from fleet.client.errors import CannotCall
from fleet.client.jobs import Ending, Job
from fleet.client.waiting import Both, End, Looker, Notifications, Objects, rounds
from tests.fleet.client.fakes import BEGUN_S, S3, Clock, Theatre, job, refusal

REGION = "eu-central-1"
STAMP = "2027-01-15T08:00:{:06.3f}Z"
DONE = {"eventName": "InferenceResult", "invocationStatus": "Completed"}
FAILED = {"eventName": "InferenceResult", "invocationStatus": "Failed", "failureReason": "ClientError: no"}


class Queue:
    """An SQS queue whose messages, once received, are seen by nobody else; a receive waits as long as it may."""

    def __init__(self, clock: Clock) -> None:
        self.messages: list[dict[str, str]] = []
        self.deleted: list[str] = []
        self.refusal: Exception | None = None
        self._clock = clock
        self._seen: set[str] = set()

    def send(self, notification: object, *, is_wrapped: bool = False) -> None:
        body = json.dumps(notification)
        body = json.dumps({"Type": "Notification", "Message": body}) if is_wrapped else body
        self.messages.append({"Body": body, "ReceiptHandle": str(len(self.messages))})

    def receive_message(self, **asked: Any) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        got = [one for one in self.messages if one["ReceiptHandle"] not in self._seen][: asked["MaxNumberOfMessages"]]
        if "VisibilityTimeout" not in asked:
            self._seen |= {one["ReceiptHandle"] for one in got}
        if not got:
            self._clock.sleep(asked["WaitTimeSeconds"])
        return {"Messages": got} if got else {}

    def delete_message(self, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803 - boto3's names
        self.deleted.append(ReceiptHandle)


def told(about: Job, notification: dict[str, Any], *, after_s: float = 0.0) -> dict[str, Any]:
    times = {"receivedTime": STAMP.format(1), "eventTime": STAMP.format(1 + after_s)}
    return {**notification, **times, "inferenceId": about.inference_id}


def objects(s3: S3, theatre: Theatre) -> Objects:
    return Objects(s3=s3, region=REGION, warn=theatre.warned.append)


def all_ends(jobs: Sequence[Job], looker: Looker, clock: Clock, *, patience_s: float = 1000.0) -> dict[str, Ending]:
    looks = rounds(jobs, looker, every_s=5, patience_s=patience_s, clock=clock, sleep=clock.sleep)
    return {job.name: ending for ends in looks for job, ending in ends}


def test_a_transcript_or_a_failure_in_s3_ends_a_job(s3: S3, clock: Clock, theatre: Theatre) -> None:
    clock.at(7, lambda: s3.put("s3://out/a.out"))
    clock.at(12, lambda: s3.put("s3://out/b-error.out"))

    assert all_ends([job("a"), job("b")], objects(s3, theatre), clock) == {
        "a": Ending(is_done=True, took_s=10.0),
        "b": Ending(is_done=False, took_s=15.0),
    }


def test_a_job_that_has_ended_is_not_asked_for_again(s3: S3, clock: Clock, theatre: Theatre) -> None:
    s3.put("s3://out/a.out")
    clock.at(20, lambda: s3.put("s3://out/b.out"))
    all_ends([job("a"), job("b")], objects(s3, theatre), clock)

    assert len(s3.calls) == 1 + 2 * 4 + 1


def test_waiting_ends_when_patience_does(s3: S3, clock: Clock, theatre: Theatre) -> None:
    assert all_ends([job("a", failure=None)], objects(s3, theatre), clock, patience_s=12) == {}
    assert clock.now_s - BEGUN_S == 15


def test_s3_that_does_not_say_what_is_not_there_is_warned_of_once(s3: S3, clock: Clock, theatre: Theatre) -> None:
    s3.refuses["HeadObject"] = refusal("HeadObject", "403", "Forbidden", 403)
    clock.at(5, s3.refuses.clear)
    clock.at(5, lambda: s3.put("s3://out/a.out"))

    assert list(all_ends([job("a")], objects(s3, theatre), clock)) == ["a"]
    assert [line for line in theatre.warned if "s3:ListBucket" in line] == theatre.warned
    assert len(theatre.warned) == 1


def test_a_bucket_that_is_gone_ends_the_waiting(s3: S3, clock: Clock, theatre: Theatre) -> None:
    s3.refuses["HeadObject"] = refusal("HeadObject", "ExpiredToken", "", 400)

    with pytest.raises(CannotCall, match="does not accept your credentials"):
        all_ends([job("a")], objects(s3, theatre), clock)


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["raw", "wrapped by SNS"])
def test_notifications_tell_to_the_millisecond_and_why(clock: Clock, *, is_wrapped: bool) -> None:
    queue = Queue(clock)
    queue.send(told(job("a"), DONE, after_s=1.25), is_wrapped=is_wrapped)
    queue.send(told(job("b"), FAILED, after_s=0.5), is_wrapped=is_wrapped)
    heard = Notifications(sqs=queue, queue="q", region=REGION)

    assert all_ends([job("a"), job("b")], heard, clock) == {
        "a": Ending(is_done=True, took_s=1.25),
        "b": Ending(is_done=False, took_s=0.5, reason="ClientError: no"),
    }


def test_messages_about_others_are_left_in_the_queue(clock: Clock) -> None:
    queue = Queue(clock)
    queue.send({"eventName": "TestNotification"})
    queue.send(told(job("somebody else's"), DONE))
    queue.messages.append({"Body": "no JSON", "ReceiptHandle": "2"})
    queue.send([1])
    queue.send(told(job("a"), DONE))

    assert list(all_ends([job("a")], Notifications(sqs=queue, queue="q", region=REGION), clock)) == ["a"]
    assert queue.deleted == ["0", "4"]


def test_a_queue_is_waited_at_and_not_asked_in_a_hurry(clock: Clock) -> None:
    queue = Queue(clock)
    clock.at(60, lambda: queue.send(told(job("a"), DONE)))
    heard = Notifications(sqs=queue, queue="q", region=REGION)
    looks = rounds([job("a")], heard, every_s=15, patience_s=1000, clock=clock, sleep=clock.sleep)

    assert [len(ends) for ends in looks] == [0, 0, 0, 0, 1]


def test_a_queue_that_is_not_there_is_told_before_anything_is_submitted(clock: Clock) -> None:
    queue = Queue(clock)
    queue.send(told(job("a"), DONE))
    heard = Notifications(sqs=queue, queue="https://q", region=REGION)
    heard.check()
    assert heard.look([job("a")], within_s=0)

    queue.refusal = refusal("ReceiveMessage", "AWS.SimpleQueueService.NonExistentQueue")
    with pytest.raises(CannotCall, match="there is no queue https://q in eu-central-1"):
        heard.check()


def test_a_notification_that_never_comes_is_made_up_for_by_s3(s3: S3, clock: Clock, theatre: Theatre) -> None:
    queue = Queue(clock)
    s3.put("s3://out/a.out")
    heard = Notifications(sqs=queue, queue="q", region=REGION)
    both = Both(first=heard, second=objects(s3, theatre), clock=clock)

    assert list(all_ends([job("a")], both, clock)) == ["a"]
    assert clock.now_s - BEGUN_S >= 60


def test_a_job_that_is_heard_of_and_seen_ends_once(s3: S3, clock: Clock, theatre: Theatre) -> None:
    class Heard:
        def look(self, jobs: Sequence[Job], *, within_s: float) -> list[End]:
            clock.sleep(61)
            return [(jobs[0], Ending(is_done=True, took_s=1.0))] if len(jobs) > 1 and clock.now_s > BEGUN_S + 70 else []

    for name in ("a", "b"):
        s3.put(f"s3://out/{name}.out")
    both = Both(first=Heard(), second=objects(s3, theatre), clock=clock)
    ends = [
        job.name
        for found in rounds([job("a"), job("b")], both, every_s=1, patience_s=999, clock=clock, sleep=clock.sleep)
        for job, _ in found
    ]

    assert ends == ["a", "b"]
