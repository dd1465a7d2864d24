"""What stands in for AWS and for time."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from fleet.client.commands import Stage
from fleet.client.jobs import Job

BEGUN_S = 1_800_000_000.0


def refusal(operation: str, code: str, message: str = "", status: int = 400, **more: object) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        **more,
    }
    return ClientError(answer, operation)


class Clock:
    """Time that passes only while somebody sleeps; `happens` is what the world does at a time."""

    def __init__(self) -> None:
        self.now_s = BEGUN_S
        self.happens: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        for due_s, happening in [one for one in self.happens if one[0] <= self.now_s - BEGUN_S]:
            self.happens.remove((due_s, happening))
            happening()

    def at(self, after_s: float, happening: Callable[[], None]) -> None:
        self.happens.append((after_s, happening))


@dataclass
class Theatre:
    """A stage whose audience remembers."""

    printed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    screen: io.StringIO = field(default_factory=io.StringIO)
    clock: Clock = field(default_factory=Clock)

    @property
    def stage(self) -> Stage:
        return Stage(
            print=self.printed.append,
            tell=self.told.append,
            warn=self.warned.append,
            screen=self.screen,
            columns=100,
            now=self.clock,
            clock=self.clock,
            sleep=self.clock.sleep,
        )


class S3:
    """Objects with the time they were written; `refuses` raises for every call with that operation."""

    def __init__(self, clock: Clock) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.refuses: dict[str, ClientError] = {}
        self.calls: list[str] = []
        self._clock = clock

    def put(self, address: str, content: bytes = b"{}") -> None:
        self.objects[address] = (content, self._clock.now_s)

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        content, written_s = self._find("HeadObject", "404", Bucket, Key)
        return {"LastModified": datetime.fromtimestamp(written_s, tz=UTC), "ContentLength": len(content)}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
        return {"Body": io.BytesIO(self._find("GetObject", "NoSuchKey", Bucket, Key)[0])}

    def upload_file(self, path: str, bucket: str, key: str, ExtraArgs: Any) -> None:  # noqa: N803 - boto3's names
        self._refuse("PutObject")
        with open(path, "rb") as file:  # noqa: PTH123 - as boto3 does
            self.put(f"s3://{bucket}/{key}", file.read())

    def _find(self, operation: str, absent: str, bucket: str, key: str) -> tuple[bytes, float]:
        self._refuse(operation)
        try:
            return self.objects[f"s3://{bucket}/{key}"]
        except KeyError:
            raise refusal(operation, absent, "Not Found", 404) from None

    def _refuse(self, operation: str) -> None:
        self.calls.append(operation)
        if operation in self.refuses:
            raise self.refuses[operation]


def job(name: str = "a", **changes: Any) -> Job:
    given = {
        "name": name,
        "recording": f"s3://in/{name}.wav",
        "output": f"s3://out/{name}.out",
        "failure": f"s3://out/{name}-error.out",
        "inference_id": f"id-{name}",
        "submitted_s": BEGUN_S,
        "accepted_s": BEGUN_S,
        "region": "eu-central-1",
        "endpoint": "transcriber-async",
        "ending": ".json",
    }
    return Job(**{**given, **changes})
