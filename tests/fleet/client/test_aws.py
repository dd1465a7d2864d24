"""What AWS refuses, in sentences."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from urllib3.exceptions import ProtocolError

from fleet.client import aws
from fleet.client.errors import CannotCall, Failed, Misused
from tests.fleet.client.fakes import refusal

REALTIME, LATER = "the endpoint transcriber-realtime", "the endpoint transcriber-async"
NOT_FOUND = "Endpoint transcriber-realtime of account 123456789012 not found."
DENIED = "User: arn:aws:iam::123456789012:user/me is not authorized to perform: kms:Decrypt on resource: x"


@pytest.mark.parametrize(
    ("error", "about", "sentence"),
    [
        (
            refusal("InvokeEndpoint", "ValidationError", NOT_FOUND),
            REALTIME,
            "123456789012 not found); `aws sagemaker list-endpoints --region eu-central-1` shows those that do",
        ),
        (
            refusal("InvokeEndpoint", "ValidationError", "Endpoint x is an async endpoint"),
            LATER,
            "is asynchronous; it is called by scripts/invoke_async.py",
        ),
        (
            refusal(
                "InvokeEndpoint", "ModelError", "...", OriginalStatusCode=415, OriginalMessage='{"error": "no audio"}'
            ),
            REALTIME,
            "the container of the endpoint transcriber-realtime answered 415: no audio",
        ),
        (refusal("InvokeEndpoint", "413", "", 413), REALTIME, "scripts/invoke_async.py takes up to 1 GB"),
        (
            refusal("HeadObject", "403", "Forbidden", 403),
            "the bucket calls",
            "your credentials may not s3:GetObject on the bucket calls; docs/iam.md has what callers need",
        ),
        (refusal("ListObjectsV2", "AccessDenied", DENIED, 403), "the bucket calls", "may not kms:Decrypt on"),
        (refusal("InvokeEndpointWithResponseStream", "AccessDeniedException"), REALTIME, "sagemaker:InvokeEndpoint on"),
        (refusal("PutObject", "NoSuchBucket", "", 404), "the bucket calls", "there is no bucket calls; check its name"),
        (
            refusal("PutObject", "ExpiredToken", "", 400),
            "the bucket calls",
            "does not accept your credentials (Expired",
        ),
        (
            refusal("InvokeEndpoint", "InvalidSignatureException", "", 403),
            REALTIME,
            "run aws configure or aws sso login",
        ),
        (refusal("ListObjectsV2", "PermanentRedirect", "", 301), "the bucket calls", "lies in another region than eu-"),
        (refusal("InvokeEndpoint", "ServiceUnavailable", "", 503), REALTIME, "is too busy or not ready"),
        (refusal("InvokeEndpoint", "InternalFailure", "Oh.", 500), REALTIME, f"{REALTIME}: Oh (InternalFailure)"),
    ],
)
def test_a_refusal_becomes_a_sentence_that_says_what_to_do(error: ClientError, about: str, sentence: str) -> None:
    assert sentence in aws.refused(error, "eu-central-1", about=about)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "run aws configure or aws sso login, or set AWS_PROFILE"),
        (ReadTimeoutError(endpoint_url="https://x"), "did not answer in time"),
        (EndpointConnectionError(endpoint_url="https://x"), "is eu-central-1 a region"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:8090"), "does `make emulate` run?"),
        (ProtocolError("Connection broken"), "the connection to the endpoint e broke"),
    ],
)
def test_no_answer_becomes_a_sentence_too(error: BotoCoreError | ProtocolError, sentence: str) -> None:
    with pytest.raises(CannotCall) as caught, aws.asking("eu-central-1", about="the endpoint e"):
        raise error

    assert sentence in str(caught.value)


@pytest.mark.parametrize(("code", "kind"), [("ModelError", Failed), ("ModelStreamError", Failed), ("X", CannotCall)])
def test_the_containers_failures_are_told_from_refusals_of_everything(code: str, kind: type[CannotCall]) -> None:
    with pytest.raises(CannotCall) as caught, aws.asking("eu-central-1", about="the endpoint e"):
        raise refusal("InvokeEndpoint", code)

    assert type(caught.value) is kind


def test_calls_that_work_or_submit_are_never_repeated_by_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # else botocore looks for a role of this machine
        monkeypatch.setenv(name, "test")
    client = aws.clients_of(boto3.Session(region_name="eu-central-1"), read_timeout_s=70)

    assert client("sagemaker-runtime").meta.config.retries["total_max_attempts"] == 1
    assert client("sagemaker-runtime").meta.config.read_timeout == 70
    assert client("s3").meta.config.retries["total_max_attempts"] > 1
    assert client("s3") is client("s3")


@pytest.mark.parametrize(("region", "url"), [("eu central", None), ("eu-central-1", "no-address")])
def test_an_address_that_cannot_be_is_refused(region: str, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)

    with pytest.raises(Misused):
        aws.clients_of(boto3.Session(region_name=region))("s3")
