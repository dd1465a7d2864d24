"""An asynchronous endpoint, as far as a client sees it: what it is told, and when it puts what into S3."""

# ruff: noqa: N803 - parameters have the API's names

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.client.batches import Batch
from fleet.client.jobs import Ledger
from fleet.client.recordings import S3Object
from fleet.client.submitting import Desk
from fleet.client.wishes import Wishes
from tests.fleet.client.fakes import BEGUN_S, S3, Theatre

REGION = "eu-central-1"
ENDPOINT = "transcriber-async"


class Cloud:
    """`client` is what boto3 would give."""

    def __init__(self, s3: S3, theatre: Theatre) -> None:
        self.s3 = s3
        self.theatre = theatre
        self.asked: list[dict[str, Any]] = []
        self.refusals: list[BaseException | None] = []
        self.description: dict[str, Any] | BaseException = {
            "EndpointStatus": "InService",
            "AsyncInferenceConfig": {},
            "ProductionVariants": [{"VariantName": "AllTraffic", "CurrentInstanceCount": 1, "DesiredInstanceCount": 2}],
        }
        self.keeps_failures = True
        self.after_s: Callable[[int], float] = lambda number: 10.0 * number
        self.answer: Callable[[int], tuple[bool, bytes]] = lambda _number: (True, b'{"text": "Ja.", "duration": 2.0}')

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else self

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if isinstance(self.description, BaseException):
            raise self.description
        return self.description

    def invoke_endpoint_async(self, **asked: Any) -> dict[str, Any]:
        if self.refusals and (refusal := self.refusals.pop(0)) is not None:
            raise refusal
        self.asked.append(asked)
        number = len(self.asked)
        is_done, content = self.answer(number)
        output, failure = f"s3://out/{number}.out", f"s3://failed/{number}-error.out"
        address = output if is_done else failure
        self.theatre.clock.at(
            self.theatre.clock.now_s - BEGUN_S + self.after_s(number), lambda: self.s3.put(address, content)
        )
        return {
            "OutputLocation": output,
            "InferenceId": f"id-{number}",
            **({"FailureLocation": failure} if self.keeps_failures else {}),
            "ResponseMetadata": {"HTTPHeaders": {"date": "Fri, 15 Jan 2027 08:00:00 GMT"}},
        }

    def desk(self) -> Desk:
        clock = self.theatre.clock
        return Desk(
            client=self.client,
            endpoint=ENDPOINT,
            region=REGION,
            ttl_s=None,
            timeout_s=3600,
            clock=clock,
            sleep=clock.sleep,
        )

    def batch(self, folder: Path, *, bucket: str | None = "in") -> Batch:
        return Batch(
            desk=self.desk(),
            wishes=Wishes(options=(("language", "de"),)),
            ledger=Ledger(folder / "ledger.jsonl"),
            folder=S3Object(bucket, "async-input/") if bucket else None,
            again="scripts/invoke_async.py --resume ledger.jsonl",
            stage=self.theatre.stage,
        )
