"""A batch transform job: instances are started, every object below a prefix is sent, answers are written, all ends."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from fleet.emulator import locations, transform_plan
from fleet.emulator.answers import Answer
from fleet.emulator.aws import ACCOUNT
from fleet.emulator.container import Broken, Call, Timeout, ask
from fleet.emulator.instances import Group, Instance
from fleet.emulator.locations import Location
from fleet.emulator.log_lines import Stream
from fleet.emulator.process import Server
from fleet.emulator.refusals import Refusal
from fleet.emulator.transform_plan import Plan
from fleet.emulator.world import World, arn

LOG_GROUP = "/aws/sagemaker/TransformJobs"
LOOK_EVERY_S = 0.1


class TransformJob:
    """One job, in a thread of its own.

    Attributes:
        status: As DescribeTransformJob tells it.
        failure: Why it failed.
    """

    def __init__(self, region: str, asked: Mapping[str, Any], model: Mapping[str, Any], world: World) -> None:
        self.region, self.asked = region, asked
        self.name: str = asked["TransformJobName"]
        self.status = "InProgress"
        self.failure = ""
        self.created_s = time.time()
        self.started_s: float | None = None
        self.ended_s: float | None = None
        self._model = model
        self._world = world
        self._stopping = threading.Event()
        self._group = Group(
            self._launch,
            changed=threading.Condition(),
            patience=world.options.patience,
            tell=lambda what: world.tell(f"{self.name}: {what}"),
        )
        self._thread = threading.Thread(target=self._run, name=f"transform {self.name}", daemon=True)

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return arn(self.region, "transform-job", self.name)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for its end: calls that run end, no other begins."""
        if self.status == "InProgress":
            self.status = "Stopping"
        self._stopping.set()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        self._world.tell(f"{self.name}: InProgress")
        try:
            failed = self._transform()
        except Refusal as error:
            self.failure = f"ClientError: {error.message}"
        except (ClientError, BotoCoreError) as error:
            self.failure = f"ClientError: {error}"
        else:
            self.failure = (
                f"ClientError: {failed} objects failed: see the job's logs for more information" if failed else ""
            )
        finally:
            self._group.close()
        self.ended_s = time.time()
        stopped = self._stopping.is_set()
        self.status = "Stopped" if stopped else "Failed" if self.failure else "Completed"
        self._world.tell(f"{self.name}: {self.status}" + (f" ({self.failure})" if self.failure else ""))

    def _transform(self) -> int:
        """Do the work and return how many objects failed."""
        count = self.asked["TransformResources"]["InstanceCount"]
        self._group.want(count)
        while self._group.ready < count and not self._stopping.wait(LOOK_EVERY_S):
            if self._group.last_failure:
                raise Refusal(f"the container did not pass the ping health check: {self._group.last_failure}")
            self._group.keep()
        if self._stopping.is_set():
            return 0
        self.started_s = time.time()
        plan = transform_plan.plan(self.asked, self._offer())
        keys = self._keys()
        if not keys:
            raise Refusal(f"no objects below {self.asked['TransformInput']['DataSource']['S3DataSource']['S3Uri']}")
        # more threads than calls at once would only wait
        with ThreadPoolExecutor(max_workers=plan.concurrent * count) as pool:
            return sum(not done for done in pool.map(lambda key: self._one(key, plan), keys))

    def _offer(self) -> bytes | None:
        patience = self._world.options.patience
        with self._group.acquired() as instance:
            if instance is None:
                return None
            call = Call(
                method="GET",
                path="/execution-parameters",
                headers={},
                timeout_s=patience.ping_s,
                accept_s=patience.accept_s,
            )
            try:
                answer = ask(instance.address, call)
            except (Timeout, Broken):
                return None
            return answer.body if answer.status == 200 else None

    def _keys(self) -> list[str]:
        pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=self._input.bucket, Prefix=self._input.key)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return [key for key in keys if not key.endswith("/")]  # the console's "folders"

    def _one(self, key: str, plan: Plan) -> bool:
        """Send one object; return whether its answer was written."""
        if self._stopping.is_set():
            return True
        reason = ""
        for _ in range(1 + plan.retries):
            status, reason = self._attempt(key, plan)
            if not reason:
                return True
            if not transform_plan.is_worth_retrying(status) or self._stopping.is_set():
                break
        self._tell(f"{key}: {reason}")
        return False

    def _attempt(self, key: str, plan: Plan) -> tuple[int | None, str]:
        """Send one object once; return the container's status, and what went wrong or nothing."""
        body = self._read(key)
        if body is None:
            return 400, "it is not gzip, though CompressionType says so"
        if plan.payload_bytes is not None and len(body) > plan.payload_bytes:
            return 413, f"its {len(body)} bytes are above MaxPayloadInMB, {plan.payload_bytes} bytes"
        try:
            answer = self._ask(body, plan)
        except Timeout:
            return None, f"no answer within {plan.timeout_s:.0f} s"
        except Broken as error:
            return None, f"the container gave no answer: {error}"
        if 200 <= answer.status < 300:
            self._write(key, answer.body)
            return answer.status, ""
        return answer.status, f"status {answer.status}: {answer.body[:2048].decode('utf-8', 'replace')}"

    def _read(self, key: str) -> bytes | None:
        """Return an object, or None if it is not as compressed as the job says."""
        body: bytes = self._s3().get_object(Bucket=self._input.bucket, Key=key)["Body"].read()
        if self.asked["TransformInput"].get("CompressionType") != "Gzip":
            return body
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            return None

    def _ask(self, body: bytes, plan: Plan) -> Answer:
        instance = self._instance(plan)
        if instance is None:
            raise Broken("the job was stopped")
        call = Call(
            body=body,
            size=None if plan.payload_bytes is None else len(body),
            headers=self._headers(),
            timeout_s=plan.timeout_s,
            accept_s=self._world.options.patience.accept_s,
        )
        try:
            return ask(instance.address, call)
        finally:
            self._group.release(instance)

    def _instance(self, plan: Plan) -> Instance | None:
        """Wait for an instance that has a call free."""
        with self._group.changed:
            while not self._stopping.is_set():
                self._group.keep()
                instance = self._group.try_acquire(limit=plan.concurrent)
                if instance is not None:
                    return instance
                self._group.changed.wait(LOOK_EVERY_S)
        return None

    def _headers(self) -> dict[str, str]:
        given = {
            "Content-Type": self.asked["TransformInput"].get("ContentType"),
            "Accept": self.asked["TransformOutput"].get("Accept"),
        }
        return {name: value for name, value in given.items() if value}

    def _write(self, key: str, content: bytes) -> None:
        output = locations.parse(self.asked["TransformOutput"]["S3OutputPath"])
        location = locations.transformed(key, prefix=self._input.key, output=output)
        if self.asked["TransformOutput"].get("AssembleWith") == "Line":
            content += b"\n"
        self._s3().put_object(Bucket=location.bucket, Key=location.key, Body=content)
        self._tell(f"{key}: {location}")

    @property
    def _input(self) -> Location:
        return locations.parse(self.asked["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])

    def _s3(self) -> Any:  # noqa: ANN401 - boto3's clients have no types of their own
        return self._world.clients.get("s3", self.region)

    def _tell(self, what: str) -> None:
        self._world.tell(f"{self.name}: {what}")
        self._world.logs.add(Stream(self.region, LOG_GROUP, f"{self.name}/data-log"), what)

    def _launch(self, instance_name: str) -> Server:
        environ = {**self._model["PrimaryContainer"].get("Environment", {}), **transform_plan.environ(self.asked)}
        return self._world.container(
            environ,
            region=self.region,
            isolated=bool(self._model.get("EnableNetworkIsolation")),
            log_stream=Stream(self.region, LOG_GROUP, f"{self.name}/{instance_name}-{ACCOUNT}"),
        )
