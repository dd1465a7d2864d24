"""InvokeEndpointAsync through boto3: S3, SNS and CloudWatch as at AWS."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from fleet.emulator import metrics
from tests.fleet.emulator.conftest import BUCKET, Aws
from tests.patience import wait_until

Told = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True)
class Desk:
    """An asynchronous endpoint with two topics."""

    aws: Aws
    name: str
    good: Told
    bad: Told

    def submit(self, command: dict[str, Any] | bytes, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.aws.runtime.invoke_endpoint_async(
            EndpointName=self.name, InputLocation=self.aws.put(command), **more
        )
        return answer

    def told(self, topic: Told, inference_id: str) -> dict[str, Any]:
        message: dict[str, Any] = wait_until(
            lambda: next((one for one in topic() if one.get("inferenceId") == inference_id), None), "notification"
        )
        return message

    def wait_for_line(self, *words: str) -> None:
        """Wait until a line of the endpoint's log has all of these words."""
        logs = self.aws.client("logs")
        group = f"/aws/sagemaker/Endpoints/{self.name}"

        def is_there() -> bool:
            if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
                return False
            lines = [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
            return any(all(word in line for word in words) for line in lines)

        wait_until(is_there, f"a log line with {words}")


@pytest.fixture(scope="module")
def desk(aws: Aws) -> Iterator[Desk]:
    good, heard_good = aws.topic("good")
    bad, heard_bad = aws.topic("bad")
    output = {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        "OutputConfig": {
            "S3OutputPath": f"s3://{BUCKET}/out/",
            "S3FailurePath": f"s3://{BUCKET}/failed",
            "NotificationConfig": {
                "SuccessTopic": good,
                "ErrorTopic": bad,
                "IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"],
            },
        },
    }
    name = aws.endpoint(aws.config(output=output))
    yield Desk(aws, name, heard_good, heard_bad)
    aws.delete(name)


def test_order_ends_in_s3_and_in_a_notification(desk: Desk) -> None:
    answer = desk.submit(b"RIFF", ContentType="audio/wav", Accept="text/plain", InferenceId="order-1")

    seen = json.loads(desk.aws.wait_get(answer["OutputLocation"]))
    message = desk.told(desk.good, "order-1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "order-1"
    assert answer["OutputLocation"].startswith(f"s3://{BUCKET}/out/")
    assert answer["OutputLocation"].endswith(".out")
    assert answer["FailureLocation"].startswith(f"s3://{BUCKET}/failed/")
    assert (seen["bytes"], seen["headers"]["Content-Length"]) == (4, "4")
    assert (seen["headers"]["Content-Type"], seen["headers"]["Accept"]) == ("audio/wav", "text/plain")
    assert not [name for name in seen["headers"] if "Location" in name]
    assert message["responseParameters"]["outputLocation"] == answer["OutputLocation"]
    assert json.loads(base64.b64decode(message["responseBody"]["content"])) == seen


def test_order_without_content_type_reaches_the_container_without_one(desk: Desk) -> None:
    seen = json.loads(desk.aws.wait_get(desk.submit(b"RIFF")["OutputLocation"]))

    assert "Content-Type" not in seen["headers"]


def test_failure_of_the_container_goes_to_the_failure_path_as_it_is_and_is_not_retried(desk: Desk) -> None:
    answer = desk.submit({"status": 500, "body": '{"error": "no"}'}, InferenceId="order-500")

    message = desk.told(desk.bad, "order-500")
    assert desk.aws.wait_get(answer["FailureLocation"]) == b'{"error": "no"}'
    assert desk.aws.get(answer["OutputLocation"]) is None
    assert message["failureReason"].startswith("ClientError: Received server error (500) from model.")
    assert len([one for one in desk.bad() if one.get("inferenceId") == "order-500"]) == 1


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"chunked": ["a", "b"]}, "did not specify the required Content-Length header"),
        ({"headers": {"X-Echo": "x" * 5000}}, "headers with length greater than 4096 bytes"),
        ({"sleep": 4}, "invocation timed out"),
    ],
)
def test_answer_that_the_platform_cannot_take_is_a_failure(desk: Desk, command: dict[str, Any], reason: str) -> None:
    answer = desk.submit(command, InvocationTimeoutSeconds=2)

    message = desk.told(desk.bad, answer["InferenceId"])
    assert reason in message["failureReason"]
    assert reason in desk.aws.wait_get(answer["FailureLocation"]).decode()


def test_input_that_is_not_there_is_a_failure(desk: Desk) -> None:
    answer = desk.aws.runtime.invoke_endpoint_async(EndpointName=desk.name, InputLocation=f"s3://{BUCKET}/none")

    assert "NoSuchKey" in desk.told(desk.bad, answer["InferenceId"])["failureReason"]


def test_small_input_may_be_inline(desk: Desk) -> None:
    answer = desk.aws.runtime.invoke_endpoint_async(EndpointName=desk.name, Body=b"12345")

    assert json.loads(desk.aws.wait_get(answer["OutputLocation"]))["bytes"] == 5


def test_caller_may_name_the_output(desk: Desk) -> None:
    answer = desk.submit({"body": "text"}, S3OutputPathExtension="today", Filename="talk.json")

    assert answer["OutputLocation"] == f"s3://{BUCKET}/out/today/talk.json"
    assert desk.aws.wait_get(answer["OutputLocation"]) == b"text"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "Exactly one of InputLocation and Body"),
        ({"InputLocation": "s3://b/k", "Body": b"x"}, "Exactly one of InputLocation and Body"),
        ({"Body": bytes(128_001)}, "128001 bytes is above the 128000"),
        ({"InputLocation": "s3://b/k", "RequestTTLSeconds": 30_000}, "less than or equal to 21600"),
        ({"InputLocation": "file:///etc/passwd"}, "regular expression pattern"),
    ],
)
def test_order_that_cannot_be_understood_is_refused_at_once(desk: Desk, given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ClientError, match=expected):
        desk.aws.runtime.invoke_endpoint_async(EndpointName=desk.name, **given)


def test_asynchronous_endpoint_refuses_the_other_calls(desk: Desk) -> None:
    with pytest.raises(ClientError, match="takes asynchronous invocations only"):
        desk.aws.runtime.invoke_endpoint(EndpointName=desk.name, Body=b"x")


def test_new_endpoint_sends_a_test_notification_to_both_topics(desk: Desk) -> None:
    def heard(told: Told) -> bool:
        return any(one["eventName"] == "TestNotification" for one in told())

    wait_until(lambda: heard(desk.good) and heard(desk.bad), "test notifications")


def test_platform_writes_into_the_log_of_the_endpoint(desk: Desk) -> None:
    answer = desk.submit({"chunked": ["a"]})
    message = desk.told(desk.bad, answer["InferenceId"])

    assert "Content-Length" in message["failureReason"]
    desk.wait_for_line(answer["InferenceId"], "Content-Length")


def test_metrics_that_are_refused_hold_up_no_log_line(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise BotoCoreError

    monkeypatch.setattr(metrics, "publish", refuse)
    answer = desk.submit({"chunked": ["a"]})

    desk.wait_for_line(answer["InferenceId"], "Content-Length")


def test_fifty_orders_on_four_instances_all_end_in_s3_and_in_a_notification(aws: Aws) -> None:
    topic, told = aws.topic("fifty")
    output = {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2},
        "OutputConfig": {
            "S3OutputPath": f"s3://{BUCKET}/fifty",
            "S3FailurePath": f"s3://{BUCKET}/fifty-failed",
            "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
        },
    }
    name = aws.endpoint(aws.config(instances=4, output=output))
    commands = [{"status": 400 if number % 10 == 0 else 200, "body": str(number)} for number in range(50)]

    orders = [
        aws.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=aws.put(command)) for command in commands
    ]

    ended = [
        aws.wait_get(order["FailureLocation" if number % 10 == 0 else "OutputLocation"])
        for number, order in enumerate(orders)
    ]
    assert ended == [str(number).encode() for number in range(50)]
    assert (len(aws.keys("fifty/")), len(aws.keys("fifty-failed/"))) == (45, 5)
    ids = {order["InferenceId"] for order in orders}
    wait_until(lambda: {one.get("inferenceId") for one in told()} >= ids, "fifty notifications")
    aws.delete(name)


def statistics(aws: Aws, endpoint: str, metric: str, statistic: str) -> float:
    now = dt.datetime.now(tz=dt.UTC)
    found = aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=7200,
        Statistics=[statistic],
    )["Datapoints"]
    return max((point[statistic] for point in found), default=-1.0)


def scalable(aws: Aws, name: str, *, least: int, most: int) -> dict[str, str]:
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    aws.client("application-autoscaling").register_scalable_target(**resource, MinCapacity=least, MaxCapacity=most)
    return resource


def plain(aws: Aws, prefix: str) -> str:
    output = {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
        "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/{prefix}"},
    }
    return aws.endpoint(aws.config(output=output))


def test_instance_works_on_as_many_orders_as_configured_and_no_more(aws: Aws) -> None:
    name = plain(aws, "one-by-one")
    given = [{"EndpointName": name, "InputLocation": aws.put({"sleep": 0.2})} for _ in range(4)]

    answers = [aws.runtime.invoke_endpoint_async(**one) for one in given]

    assert [aws.wait_get(answer["OutputLocation"]) for answer in answers] == [b"1"] * 4
    aws.delete(name)


def test_target_tracking_adds_instances_for_the_backlog_and_takes_them_away(aws: Aws) -> None:
    name = plain(aws, "tracked")
    resource = scalable(aws, name, least=1, most=3)
    aws.client("application-autoscaling").put_scaling_policy(
        **resource,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 1.0,
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Dimensions": [{"Name": "EndpointName", "Value": name}],
                "Statistic": "Average",
            },
            "ScaleInCooldown": 60,
            "ScaleOutCooldown": 60,
        },
    )

    for _ in range(12):
        aws.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=aws.put({"sleep": 0.8}))

    wait_until(lambda: aws.instances(name) == 3, "third instance")
    wait_until(lambda: len(aws.keys("tracked/")) == 12, "twelve answers")
    wait_until(lambda: aws.instances(name) == 1, "end of the others")
    assert statistics(aws, name, "ApproximateBacklogSize", "Maximum") > 3
    assert statistics(aws, name, "InvocationsProcesssed", "Sum") > 0
    aws.delete(name)


def test_endpoint_leaves_zero_by_its_step_policy(aws: Aws) -> None:
    name = plain(aws, "from-zero")
    wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": 0}]
    aws.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    wait_until(lambda: aws.instances(name) == 0 and aws.status(name) == "InService", "zero instances")
    answer = aws.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=aws.put({"body": "done"}))
    wait_until(lambda: statistics(aws, name, "HasBacklogWithoutCapacity", "Maximum") == 1, "metric")
    resource = scalable(aws, name, least=0, most=2)

    policy = aws.client("application-autoscaling").put_scaling_policy(
        **resource,
        PolicyName="from-zero",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": 300,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{name}-from-zero",
        MetricName="HasBacklogWithoutCapacity",
        Namespace="AWS/SageMaker",
        Statistic="Average",
        Dimensions=[{"Name": "EndpointName", "Value": name}],
        Period=60,
        EvaluationPeriods=2,
        DatapointsToAlarm=2,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )

    assert aws.wait_get(answer["OutputLocation"]) == b"done"
    aws.delete(name)
