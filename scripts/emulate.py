"""Run SageMaker on this machine: one address for boto3 and the AWS CLI, no account, no network.

Starts the emulator and, through boto3 as a deployment would, makes a bucket, a model, the endpoints
transcriber-realtime and transcriber-async with SNS topics, a queue that hears both, and autoscaling of the asynchronous
endpoint. Their instances are processes of `./serve`. Prints the lines to paste into another terminal, then one line for
each thing that happens, and stops everything on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import WaiterError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fleet.emulator.aws import CREDENTIALS
from fleet.emulator.emulator import Emulator
from fleet.emulator.options import Options, Patience

REGION = "us-east-1"
BUCKET = "sagemaker-transcriber"
REALTIME = "transcriber-realtime"
ASYNC = "transcriber-async"
ROLE = "arn:aws:iam::123456789012:role/transcriber"
QUEUE = "transcriber-notifications"
VARIANT = "AllTraffic"

PASTE = """
Ready. In another terminal, in the folder of the project:

export AWS_ENDPOINT_URL={url} AWS_DEFAULT_REGION={region}
export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}

# real-time
aws sagemaker-runtime invoke-endpoint --endpoint-name {realtime} --content-type audio/wav \\
  --body fileb://tests/data/en-one-phrase.wav /dev/stdout

# asynchronous
aws s3 cp tests/data/two-minutes.flac s3://{bucket}/in/
aws sagemaker-runtime invoke-endpoint-async --endpoint-name {later} --input-location s3://{bucket}/in/two-minutes.flac
aws s3 ls s3://{bucket}/out/
aws sqs receive-message --queue-url {queue}

# the same with boto3
{python} - <<'PYTHON'
import boto3, json
runtime, s3 = boto3.client("sagemaker-runtime"), boto3.client("s3")
with open("tests/data/en-one-phrase.wav", "rb") as audio:
    answer = runtime.invoke_endpoint(EndpointName="{realtime}", Body=audio.read(), ContentType="audio/wav")
print(answer["Body"].read().decode())
s3.upload_file("tests/data/en-one-phrase.wav", "{bucket}", "in/en-one-phrase.wav")
order = runtime.invoke_endpoint_async(EndpointName="{later}", InputLocation="s3://{bucket}/in/en-one-phrase.wav")
key = order["OutputLocation"].removeprefix("s3://{bucket}/")
s3.get_waiter("object_exists").wait(Bucket="{bucket}", Key=key, WaiterConfig={{"Delay": 1}})
print(s3.get_object(Bucket="{bucket}", Key=key)["Body"].read().decode())
PYTHON

Ctrl-C stops everything.
"""


def main() -> int:
    """Run until somebody stops it."""
    arguments = parse()
    options = Options(
        port=arguments.port,
        running_url=arguments.container_url,
        image_environ={"MODEL_ID": "demo"},
        patience=Patience(minute_s=arguments.scale_seconds, publish_s=min(arguments.scale_seconds, 10)),
    )
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell lets what it runs in the background ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    try:
        with Emulator(options, tell=tell) as emulator:
            try:
                build(emulator.url, arguments)
                threading.Event().wait()
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)  # stopping is not to be stopped half way
                tell("emulator: stopping")
    except KeyboardInterrupt:
        tell("emulator: stopped")
        return 0
    except OSError as error:
        sys.exit(f"emulate: port {arguments.port} cannot be listened on ({error.strerror}); choose another with --port")
    return 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--port", type=int, default=8090, help="port of the one address (default 8090; 0 takes a free one)"
    )
    parser.add_argument(
        "--instances", type=count, default=1, help="instances of the asynchronous endpoint at first (1)"
    )
    parser.add_argument("--max-instances", type=count, help="autoscaling goes up to here (default: --instances, or 4)")
    parser.add_argument(
        "--max-concurrent-per-instance", type=count, default=4, help="orders that an instance works on at once (4)"
    )
    parser.add_argument(
        "--scale-seconds", type=float, default=5, help="how long a minute of autoscaling lasts here (5; 60 is real)"
    )
    parser.add_argument("--container-url", help="a container that runs already, to be used for every instance")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the container; may be repeated"
    )
    arguments = parser.parse_args()
    if not all("=" in setting for setting in arguments.env):
        parser.error("--env takes NAME=VALUE, for example --env MODEL_ID=demo")
    if arguments.scale_seconds <= 0:
        parser.error("--scale-seconds must be above 0")
    arguments.max_instances = max(arguments.max_instances or 4, arguments.instances)
    return arguments


def count(text: str) -> int:
    """Understand a number of instances or orders."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def tell(what: str) -> None:
    """Print one event."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def build(url: str, arguments: argparse.Namespace) -> None:
    """Make everything that a user wants to find, and say how to use it."""
    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )

    def client(service: str) -> Any:  # noqa: ANN401 - boto3's clients have no types of their own
        return session.client(service, endpoint_url=url)  # type: ignore[call-overload] # any service, by name

    client("s3").create_bucket(Bucket=BUCKET)
    sagemaker = client("sagemaker")
    sagemaker.create_model(
        ModelName="transcriber",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={
            "Image": "transcriber:cpu",
            "Environment": dict(setting.split("=", 1) for setting in arguments.env),
        },
    )
    topics, queue = notify(client("sns"), client("sqs"))
    output = {
        "S3OutputPath": f"s3://{BUCKET}/out",
        "S3FailurePath": f"s3://{BUCKET}/failed",
        "NotificationConfig": {"SuccessTopic": topics[0], "ErrorTopic": topics[1]},
    }
    limit = {"MaxConcurrentInvocationsPerInstance": arguments.max_concurrent_per_instance}
    endpoint(sagemaker, REALTIME, instances=1)
    endpoint(
        sagemaker,
        ASYNC,
        instances=arguments.instances,
        AsyncInferenceConfig={"OutputConfig": output, "ClientConfig": limit},
    )
    scale(client("application-autoscaling"), arguments)
    for name in (REALTIME, ASYNC):
        try:
            sagemaker.get_waiter("endpoint_in_service").wait(
                EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 600}
            )
        except WaiterError:
            reason = sagemaker.describe_endpoint(EndpointName=name).get("FailureReason", "it takes too long")
            sys.exit(f"emulate: {name} did not come into service: {reason}")
    print(
        PASTE.format(
            url=url,
            region=REGION,
            key=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            secret=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            realtime=REALTIME,
            later=ASYNC,
            bucket=BUCKET,
            queue=queue,
            python=os.path.relpath(sys.executable),
        ),
        flush=True,
    )


def notify(sns: Any, sqs: Any) -> tuple[list[str], str]:  # noqa: ANN401 - boto3's clients have no types of their own
    """Make the topics and one queue that hears both; return their ARNs and its address."""
    topics = [sns.create_topic(Name=f"{ASYNC}-{kind}")["TopicArn"] for kind in ("success", "error")]
    queue: str = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for topic in topics:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return topics, queue


def endpoint(sagemaker: Any, name: str, *, instances: int, **config: object) -> None:  # noqa: ANN401 - as above
    """Make an endpoint with a configuration of the same name."""
    variant = {
        "VariantName": VARIANT,
        "ModelName": "transcriber",
        "InitialInstanceCount": instances,
        "InstanceType": "ml.g6.xlarge",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **config)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)


def scale(autoscaling: Any, arguments: argparse.Namespace) -> None:  # noqa: ANN401 - as above
    """Let the asynchronous endpoint follow its backlog."""
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{ASYNC}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    autoscaling.register_scalable_target(
        **resource, MinCapacity=arguments.instances, MaxCapacity=arguments.max_instances
    )
    autoscaling.put_scaling_policy(
        **resource,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": float(arguments.max_concurrent_per_instance),
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": [{"Name": "EndpointName", "Value": ASYNC}],
                "Statistic": "Average",
            },
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 60,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
