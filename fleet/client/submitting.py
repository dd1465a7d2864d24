"""Recordings -> jobs: files are uploaded, then each recording is handed to an asynchronous endpoint."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from fleet.aws import DENIED, sentence
from fleet.client.aws import Clients, asking, is_busy
from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Job
from fleet.client.recordings import LocalFile, S3Object
from fleet.client.wishes import Wishes

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
"""How long to wait before an invocation that was refused for haste is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """An asynchronous endpoint, and how to submit to it.

    Attributes:
        client: boto3's clients.
        endpoint, region: The endpoint.
        ttl_s: How long a job may wait in the queue; None for SageMaker's default of 6 hours.
        timeout_s: How long the container may take; SageMaker's default is 15 minutes, its most an hour.
        clock: Seconds since 1970.
        sleep: Takes seconds.
    """

    client: Clients
    endpoint: str
    region: str
    ttl_s: int | None
    timeout_s: int
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def look(self) -> None:
        """Find out whether the endpoint takes jobs, as far as we are allowed to; before anything is uploaded.

        Raises:
            CannotCall: It does not.
        """
        with asking(self.region, about=f"the endpoint {self.endpoint}"):
            try:
                found = self.client("sagemaker").describe_endpoint(EndpointName=self.endpoint)
            except ClientError as error:
                if error.response["Error"]["Code"] in DENIED:
                    return  # callers need no such permission, and submitting will tell
                raise
        if "AsyncInferenceConfig" not in found:
            raise Misused(f"the endpoint {self.endpoint} answers at once; it is called by scripts/invoke_realtime.py")
        if found["EndpointStatus"] in {"Creating", "Failed", "Deleting", "OutOfService"}:
            raise CannotCall(f"the endpoint {self.endpoint} is {found['EndpointStatus']}; it takes no jobs")

    def upload(self, files: Sequence[LocalFile], folder: S3Object, tell: Callable[[int], None]) -> list[S3Object]:
        """Put files into a folder of S3 that no other upload uses, and return where they are, in order.

        Args:
            files: What to upload.
            folder: Where to; its key ends with a slash.
            tell: Hears how many are there.

        Raises:
            CannotCall: S3 refuses, or a file cannot be read any more.
        """
        s3 = self.client("s3")
        there: list[S3Object] = []
        for number, file in enumerate(files):
            key = f"{folder.key}{number:04d}-{file.name}"
            content_type = mimetypes.guess_type(file.name)[0]
            extra = {"ContentType": content_type} if content_type else None
            try:
                with asking(self.region, about=f"the bucket {folder.bucket}"), _unwrapped():
                    s3.upload_file(str(file.path), folder.bucket, key, ExtraArgs=extra)
            except OSError as error:
                raise Misused(f"{file} cannot be read any more ({error.strerror})") from error
            there.append(S3Object(folder.bucket, key))
            tell(len(there))
        return there

    def submit(self, name: str, recording: S3Object, wishes: Wishes) -> Job:
        """Submit one job.

        Raises:
            CannotCall: SageMaker refuses.
        """
        given = {
            "CustomAttributes": wishes.attributes or None,
            "RequestTTLSeconds": self.ttl_s,
            "InvocationTimeoutSeconds": self.timeout_s,
        }
        parameters = {name: value for name, value in given.items() if value is not None}
        with asking(self.region, about=f"the endpoint {self.endpoint}"):
            answer = self._patiently(EndpointName=self.endpoint, InputLocation=str(recording), **parameters)
        submitted_s = self.clock()
        return Job(
            name=name,
            recording=str(recording),
            output=answer["OutputLocation"],
            failure=answer.get("FailureLocation"),
            inference_id=answer.get("InferenceId", ""),
            submitted_s=submitted_s,
            accepted_s=_date(answer, submitted_s),
            region=self.region,
            endpoint=self.endpoint,
            ending=wishes.ending,
        )

    def _patiently(self, **parameters: object) -> dict[str, Any]:
        """Invoke, and again after a while when SageMaker asks to slow down: then nothing was accepted."""
        runtime = self.client("sagemaker-runtime")
        for pause_s in PAUSES_S:
            try:
                answer: dict[str, Any] = runtime.invoke_endpoint_async(**parameters)
            except ClientError as error:
                if not is_busy(error):
                    raise
                self.sleep(pause_s)
            else:
                return answer
        last: dict[str, Any] = runtime.invoke_endpoint_async(**parameters)
        return last


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Let out what S3 refused; `upload_file` wraps it into an error of its own that has only words."""
    try:
        yield
    except S3UploadFailedError as error:
        if isinstance(error.__context__, ClientError):
            raise error.__context__ from error
        raise CannotCall(sentence(str(error))) from error


def _date(answer: dict[str, Any], otherwise_s: float) -> float:
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(said).timestamp() if said else otherwise_s
    except ValueError:
        return otherwise_s
