"""Batch transform over a prefix, through boto3."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.fleet.emulator.conftest import BUCKET, Aws
from tests.patience import wait_until


def transform(aws: Aws, folder: str, **more: Any) -> dict[str, Any]:
    """Run a job to its end; `model`, `source` and whatever CreateTransformJob takes may be given."""
    name = f"job-{uuid.uuid4()}"
    source = {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{folder}/in/"}},
        **more.pop("source", {}),
    }
    aws.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=more.pop("model", None) or aws.model(),
        TransformInput=source,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{folder}/out", "Accept": "text/plain"},
        TransformResources={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        **more,
    )

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = aws.sagemaker.describe_transform_job(TransformJobName=name)
        return found if found["TransformJobStatus"] in {"Completed", "Failed", "Stopped"} else None

    job: dict[str, Any] = wait_until(ended, "end of the job")
    return job


@pytest.fixture
def folder() -> str:
    return f"batch-{uuid.uuid4()}"


def test_every_object_below_the_prefix_is_sent_as_it_is(aws: Aws, folder: str) -> None:
    for key in ("a.wav", "de/b.wav"):
        aws.put(b"RIFF", f"{folder}/in/{key}")
    aws.put(b"", f"{folder}/in/de/")

    job = transform(aws, folder, source={"ContentType": "audio/wav"}, BatchStrategy="SingleRecord")

    assert job["TransformJobStatus"] == "Completed"
    assert aws.keys(f"{folder}/out/") == [f"{folder}/out/a.wav.out", f"{folder}/out/de/b.wav.out"]
    seen = json.loads(aws.get(f"s3://{BUCKET}/{folder}/out/de/b.wav.out") or b"")
    assert (seen["bytes"], seen["chunked"]) == (4, False)
    assert (seen["headers"]["Content-Type"], seen["headers"]["Accept"]) == ("audio/wav", "text/plain")
    assert seen["environ"]["SAGEMAKER_BATCH"] == "true"
    assert seen["environ"]["SAGEMAKER_BATCH_STRATEGY"] == "SINGLE_RECORD"


def test_object_that_fails_has_no_answer_and_the_others_have(aws: Aws, folder: str) -> None:
    aws.put({"status": 415, "body": "not audio"}, f"{folder}/in/bad")
    aws.put({"status": 500}, f"{folder}/in/broken")
    aws.put({"body": "text"}, f"{folder}/in/good")

    job = transform(aws, folder, ModelClientConfig={"InvocationsMaxRetries": 1})

    assert job["TransformJobStatus"] == "Failed"
    assert "2 objects failed" in job["FailureReason"]
    assert aws.keys(f"{folder}/out/") == [f"{folder}/out/good.out"]


def test_container_says_how_many_at_once_and_how_large(aws: Aws, folder: str) -> None:
    offer = json.dumps({"MaxConcurrentTransforms": 3, "MaxPayloadInMB": 1, "BatchStrategy": "SINGLE_RECORD"})
    aws.put(bytes(1024 * 1024 + 1), f"{folder}/in/large")
    for number in range(6):
        aws.put({"sleep": 0.5}, f"{folder}/in/{number}")

    job = transform(aws, folder, model=aws.model(EXECUTION_PARAMETERS=offer))

    peaks = [int(aws.get(f"s3://{BUCKET}/{folder}/out/{number}.out") or 0) for number in range(6)]
    assert max(peaks) in {2, 3}
    assert "1 objects failed" in job["FailureReason"]


def test_payload_without_limit_is_sent_in_chunks(aws: Aws, folder: str) -> None:
    aws.put(gzip.compress(bytes(3_000_000)), f"{folder}/in/a")

    transform(aws, folder, MaxPayloadInMB=0, source={"CompressionType": "Gzip"})

    seen = json.loads(aws.get(f"s3://{BUCKET}/{folder}/out/a.out") or b"")
    assert (seen["bytes"], seen["chunked"]) == (3_000_000, True)


def test_empty_prefix_and_container_that_cannot_start_fail_the_job(aws: Aws, folder: str) -> None:
    assert "no objects below" in transform(aws, folder)["FailureReason"]
    assert "the weights are missing" in transform(aws, folder, model=aws.model(FAIL_AT_START="1"))["FailureReason"]


def test_job_that_is_not_there_and_sizes_that_do_not_fit_are_refused(aws: Aws, folder: str) -> None:
    with pytest.raises(ClientError, match="Could not find requested job"):
        aws.sagemaker.describe_transform_job(TransformJobName="none")
    with pytest.raises(ClientError, match="above the 100 MB"):
        transform(aws, folder, MaxConcurrentTransforms=20, MaxPayloadInMB=6)
