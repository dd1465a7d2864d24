"""InvokeEndpoint and InvokeEndpointWithResponseStream through boto3."""

from __future__ import annotations

import json
import urllib.request
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from fleet import platform
from tests.fleet.emulator.conftest import BUCKET, Aws
from tests.patience import wait_until


def invoke(aws: Aws, name: str, command: dict[str, Any] | bytes, **more: str) -> dict[str, Any]:
    body = command if isinstance(command, bytes) else json.dumps(command).encode()
    answer: dict[str, Any] = aws.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
    return answer


def refused(aws: Aws, name: str, command: dict[str, Any] | bytes, **more: str) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        invoke(aws, name, command, **more)
    response: dict[str, Any] = caught.value.response
    return response


def stream(aws: Aws, name: str, command: dict[str, Any], **more: str) -> dict[str, Any]:
    answer: dict[str, Any] = aws.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps(command).encode(), **more
    )
    return answer


def test_body_and_headers_of_the_api_reach_the_container_and_no_other(aws: Aws, realtime: str) -> None:
    answer = invoke(
        aws, realtime, b"RIFF", ContentType="audio/wav", Accept="text/plain", CustomAttributes="a=b", InferenceId="i 1"
    )
    seen = json.loads(answer["Body"].read())

    assert seen["bytes"] == 4
    assert seen["headers"]["Content-Type"] == "audio/wav"
    assert seen["headers"]["Accept"] == "text/plain"
    assert seen["headers"]["X-Amzn-SageMaker-Custom-Attributes"] == "a=b"
    assert seen["headers"]["X-Amzn-SageMaker-Inference-Id"] == "i 1"
    assert not {name for name in seen["headers"] if name in {"Authorization", "X-Amz-Date", "User-Agent"}}
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "AllTraffic")


def test_container_has_an_environment_of_its_own(aws: Aws, realtime: str) -> None:
    seen = json.loads(invoke(aws, realtime, b"x")["Body"].read())["environ"]

    assert set(seen) - {"LC_CTYPE"} == {
        *("PATH", "LANG", "HOME", "TMPDIR", "SAGEMAKER_BIND_TO_PORT", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"),
    }
    assert seen["AWS_ENDPOINT_URL_S3"] == aws.url


def test_custom_attributes_come_back_if_the_container_sets_them(aws: Aws, realtime: str) -> None:
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "language=de", "X-Other": "1"}

    answer = invoke(aws, realtime, {"headers": headers})

    assert answer["CustomAttributes"] == "language=de"
    assert "x-other" not in answer["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize("status", [400, 415, 500, 503])
def test_failure_of_the_container_is_a_model_error(aws: Aws, realtime: str, status: int) -> None:
    response = refused(aws, realtime, {"status": status, "body": "the reason " * 1000})

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == ("the reason " * 1000)[:2048]
    assert response["LogStreamArn"].endswith(f"/aws/sagemaker/Endpoints/{realtime}")


def test_container_that_takes_too_long_is_a_model_error(aws: Aws, realtime: str) -> None:
    response = refused(aws, realtime, {"sleep": 6})

    assert response["Error"]["Code"] == "ModelError"
    assert "Your invocation timed out while waiting for a response" in response["OriginalMessage"]


def test_answer_with_long_headers_is_refused(aws: Aws, realtime: str) -> None:
    response = refused(aws, realtime, {"headers": {"X-Amzn-SageMaker-Custom-Attributes": "x" * 4096}})

    assert "headers with length greater than 4096 bytes" in response["OriginalMessage"]


def test_body_of_25_megabytes_is_taken_and_a_larger_one_refused(aws: Aws, realtime: str) -> None:
    largest = bytes(platform.REALTIME_BODY_BYTES)

    assert json.loads(invoke(aws, realtime, largest)["Body"].read())["bytes"] == platform.REALTIME_BODY_BYTES
    assert refused(aws, realtime, largest + b"x")["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_long_custom_attributes_are_refused_before_the_container_sees_them(aws: Aws, realtime: str) -> None:
    response = refused(aws, realtime, b"x", CustomAttributes="x" * 1025)

    assert response["Error"]["Code"] == "ValidationError"
    assert "length less than or equal to 1024" in response["Error"]["Message"]


def test_endpoint_that_is_not_there_is_named_with_the_region_that_has_one(aws: Aws, realtime: str) -> None:
    response = refused(aws, "nowhere", b"x")
    with pytest.raises(ClientError, match=r"not found\. There is one in eu-central-1\."):
        aws.client("sagemaker-runtime", "us-west-2").invoke_endpoint(EndpointName=realtime, Body=b"x")

    assert response["Error"]["Code"] == "ValidationError"
    assert response["Error"]["Message"] == "Endpoint nowhere of account 123456789012 not found."


def test_real_time_endpoint_refuses_asynchronous_calls(aws: Aws, realtime: str) -> None:
    with pytest.raises(ClientError, match="no AsyncInferenceConfig"):
        aws.runtime.invoke_endpoint_async(EndpointName=realtime, InputLocation=f"s3://{BUCKET}/x")


def test_call_without_a_signature_is_for_the_default_region(aws: Aws) -> None:
    request = urllib.request.Request(f"{aws.url}/endpoints/x/invocations", data=b"x", method="POST")

    with pytest.raises(urllib.error.HTTPError) as caught, urllib.request.urlopen(request, timeout=30):
        pass

    with caught.value as answer:
        assert b"Endpoint x of account" in answer.read()


def test_stream_comes_in_parts_that_add_up(aws: Aws, realtime: str) -> None:
    lines = [f'{{"segment": {number}}}\n' for number in range(50)]

    answer = stream(aws, realtime, {"chunked": lines, "headers": {"Content-Type": "application/jsonlines"}})
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]

    assert b"".join(parts).decode() == "".join(lines)
    assert answer["ContentType"] == "application/jsonlines"
    assert parts != [line.encode() for line in lines]


def test_stream_asks_for_the_form_under_its_ordinary_name(aws: Aws, realtime: str) -> None:
    answer = aws.runtime.invoke_endpoint_with_response_stream(
        EndpointName=realtime, Body=b"x", Accept="application/jsonlines"
    )
    seen = json.loads(b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"]))

    assert seen["headers"]["Accept"] == "application/jsonlines"


def test_first_part_arrives_while_the_container_works(aws: Aws, realtime: str) -> None:
    answer = stream(aws, realtime, {"chunked": ["first", *["later"] * 50], "pause": 1})

    first = next(iter(answer["Body"]))
    answer["Body"].close()

    assert b"first".startswith(first["PayloadPart"]["Bytes"])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ({"chunked": ["one", "two", "three"], "break_after": 2}, "closed before it had answered"),
        ({"chunked": ["one", *["two"] * 9], "pause": 1}, "invocation timed out"),
    ],
)
def test_stream_that_breaks_ends_with_an_error_event(
    aws: Aws, realtime: str, command: dict[str, Any], message: str
) -> None:
    answer = stream(aws, realtime, command)
    received = b""

    with closing(answer["Body"]) as events, pytest.raises(EventStreamError, match=f"ModelStreamError.*{message}"):
        for event in events:
            received += event["PayloadPart"]["Bytes"]

    assert received.startswith(b"one")


def test_failure_before_the_stream_is_a_model_error(aws: Aws, realtime: str) -> None:
    with pytest.raises(ClientError, match=r"client error \(400\).*bad audio"):
        stream(aws, realtime, {"status": 400, "body": "bad audio"})


def test_metrics_of_invocations_are_published(aws: Aws, realtime: str) -> None:
    invoke(aws, realtime, {})
    dimensions = [{"Name": "EndpointName", "Value": realtime}, {"Name": "VariantName", "Value": "AllTraffic"}]

    def published() -> set[str]:
        found = aws.client("cloudwatch").list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)
        return {metric["MetricName"] for metric in found["Metrics"]}

    wanted = {
        *("Invocations", "InvocationsPerInstance", "Invocation4XXErrors", "Invocation5XXErrors"),
        *("InvocationModelErrors", "ModelLatency", "ConcurrentRequestsPerModel"),
    }
    wait_until(lambda: wanted <= published(), "metrics")
