"""One emulator whose containers are tiny, for the whole folder."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from fleet.emulator.emulator import Emulator
from fleet.emulator.options import Options, Patience
from tests.patience import wait_until

CONTAINER = Path(__file__).with_name("container.py")
REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/transcriber"
BUCKET = "emulated-sagemaker"
PATIENCE = Patience(
    accept_s=2.0, ping_s=5.0, ping_every_s=0.2, kill_s=1.0, realtime_s=3.0, stream_s=3.0, minute_s=0.3, publish_s=0.3
)


@dataclass
class Aws:
    """Unmodified clients of an emulator, and what tests do with them again and again."""

    url: str
    told: list[str] = field(default_factory=list)
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str = REGION) -> Any:
        if (service, region) not in self.clients:
            self.clients[service, region] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service, region]

    @property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @property
    def s3(self) -> Any:
        return self.client("s3")

    def put(self, body: bytes | dict[str, Any], key: str | None = None) -> str:
        key = key or f"in/{uuid.uuid4()}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body if isinstance(body, bytes) else json.dumps(body).encode())
        return f"s3://{BUCKET}/{key}"

    def get(self, uri: str) -> bytes | None:
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        try:
            content: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        return content

    def wait_get(self, uri: str) -> bytes:
        content: bytes = wait_until(lambda: self.get(uri), uri)
        return content

    def keys(self, prefix: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [one["Key"] for one in found]

    def topic(self, name: str) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
        """Make a topic with a queue; return its ARN and what it was told so far."""
        sns, sqs = self.client("sns"), self.client("sqs")
        topic = sns.create_topic(Name=name)["TopicArn"]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        seen: list[dict[str, Any]] = []

        def told() -> list[dict[str, Any]]:
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                seen.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return seen

        return topic, told

    def model(self, **environ: str) -> str:
        name = f"m-{uuid.uuid4()}"
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": "transcriber:cpu", "Environment": environ},
        )
        return name

    def config(self, *, model: str | None = None, instances: int = 1, output: dict[str, Any] | None = None) -> str:
        name = f"c-{uuid.uuid4()}"
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model or self.model(),
            "InitialInstanceCount": instances,
            "InstanceType": "ml.g6.xlarge",
        }
        given: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": [variant]}
        if output is not None:
            given["AsyncInferenceConfig"] = output
        self.sagemaker.create_endpoint_config(**given)
        return name

    def endpoint(self, config: str | None = None) -> str:
        name = f"e-{uuid.uuid4()}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config or self.config())
        self.wait_in_service(name)
        return name

    def status(self, name: str) -> str:
        status: str = self.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return status

    def instances(self, name: str) -> int:
        (variant,) = self.sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
        count: int = variant["CurrentInstanceCount"]
        return count

    def wait_in_service(self, name: str) -> None:
        def there() -> bool:
            found = self.sagemaker.describe_endpoint(EndpointName=name)
            assert found["EndpointStatus"] != "Failed", found["FailureReason"]
            return bool(found["EndpointStatus"] == "InService")

        wait_until(there, f"{name} in service")

    def make_bucket(self) -> None:
        """Make the bucket, unless another emulator has: all of moto in one process shares what it holds."""
        with suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def delete(self, name: str) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    options = Options(command=(sys.executable, str(CONTAINER), "serve"), patience=PATIENCE)
    told: list[str] = []
    with Emulator(options, tell=told.append) as emulator:
        aws = Aws(emulator.url, told)
        aws.make_bucket()
        yield aws
        for client in aws.clients.values():
            client.close()


@pytest.fixture(autouse=True)
def bucket(request: pytest.FixtureRequest) -> None:
    """Make the bucket anew for whoever uses the emulator: all stand-ins of a process share what they hold, and another
    folder's tests may have emptied it."""
    if "aws" in request.fixturenames:
        request.getfixturevalue("aws").make_bucket()


@pytest.fixture(scope="session")
def realtime(aws: Aws) -> str:
    """A real-time endpoint that no test changes."""
    return aws.endpoint()
