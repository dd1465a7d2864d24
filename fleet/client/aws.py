"""boto3's clients for callers of endpoints, and what AWS refuses in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, ReadTimeoutError
from urllib3.exceptions import HTTPError

from fleet.aws import DENIED, sentence, unanswered
from fleet.client.answers import failure_of
from fleet.client.errors import CannotCall, Failed, Misused

Clients = Callable[[str], Any]
"""From the name of a service to boto3's client, which has no type of its own."""

CONNECTIONS = 16
"""Requests that are sent to S3 side by side."""

NEVER_AGAIN = frozenset({"sagemaker-runtime"})
"""Services whose calls botocore must not repeat by itself: the container would work twice, and a job exist twice."""

BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
BUSY = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "ServiceUnavailable", "429", "503"})
"""Refusals after which the same call may succeed: nothing was begun."""

OF_ONE_RECORDING = frozenset({"ModelError", "ModelStreamError", "413"})
"""Refusals that say nothing about the next recording."""

AT_ONCE = frozenset({"InvokeEndpoint", "InvokeEndpointWithResponseStream"})
NO_ENDPOINT = (
    "{about} takes no calls in {region} ({words}); `aws sagemaker list-endpoints --region {region}` shows those that do"
)
SENTENCES: tuple[tuple[frozenset[str], str], ...] = (
    (BAD_CREDENTIALS, "AWS does not accept your credentials ({code}); run aws configure or aws sso login"),
    (frozenset({"NoSuchBucket", "404"}), "there is no {thing}; check its name, and --region, which is {region}"),
    (
        frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}),
        "there is no {thing} in {region}; check its address",
    ),
    (
        frozenset({"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}),
        "{about} lies in another region than {region}; the endpoint and its buckets share one, so mend --region",
    ),
    (frozenset({"413"}), "the recording is too large for {about}; scripts/invoke_async.py takes up to 1 GB"),
    (BUSY, "{about} is too busy or not ready ({words}); try again later"),
)
"""From codes of refusals to what to say of them."""


def clients_of(session: boto3.Session, *, read_timeout_s: float = 60.0) -> Clients:
    """Return boto3's clients, each made once.

    Args:
        session: Where, and with whose credentials.
        read_timeout_s: How long an answer may take.
    """

    def client(service: str) -> Any:  # noqa: ANN401 - see Clients
        tries = 1 if service in NEVER_AGAIN else 5
        config = Config(
            connect_timeout=10,
            read_timeout=read_timeout_s,
            retries={"mode": "standard", "total_max_attempts": tries},
            max_pool_connections=CONNECTIONS,
        )
        try:
            return session.client(service, config=config)  # type: ignore[call-overload] # any service, by name
        except BotoCoreError as error:
            raise Misused(unanswered(error, session.region_name)) from error
        except ValueError as error:  # AWS_ENDPOINT_URL is no address
            raise Misused(sentence(str(error))) from error

    return cache(client)


@contextmanager
def asking(region: str, *, about: str) -> Iterator[None]:
    """Turn whatever boto3 raises within the block into one sentence.

    Args:
        region: Where the calls of the block go.
        about: What they are about, as a reader would say it: "the endpoint transcriber-async".

    Raises:
        Failed: The container did.
        CannotCall: AWS refused, or did not answer.
    """
    try:
        yield
    except ClientError as error:
        kind = Failed if _code(error) in OF_ONE_RECORDING else CannotCall
        raise kind(refused(error, region, about=about)) from error
    except BotoCoreError as error:
        raise CannotCall(_unanswered(error, region, about=about)) from error
    except HTTPError as error:  # botocore lets these through while an event stream is read
        raise CannotCall(f"the connection to {about} broke ({sentence(str(error))}); try again") from error


def refused(error: ClientError, region: str, *, about: str) -> str:
    """Return what AWS answered and what to do about it, in one sentence."""
    code, words = _code(error), sentence(error.response["Error"].get("Message", ""))
    if code == "ModelError":
        status = error.response.get("OriginalStatusCode", "an error")
        said = failure_of(str(error.response.get("OriginalMessage", "")).encode())
        return f"the container of {about} answered {status}: {said or words}"
    if error.operation_name in AT_ONCE and "async" in words.lower():
        return f"{about} is asynchronous; it is called by scripts/invoke_async.py"
    told = next((told for codes, told in SENTENCES if code in codes), None)
    if told is None and (code in DENIED or _status(error) == 403):
        wanting = re.search(r"not authorized to perform: ([\w-]+:\w+)", words)
        action = wanting[1] if wanting else _action(error.operation_name)
        return f"your credentials may not {action} on {about}; docs/iam.md has what callers need"
    if told is None and re.search(r"Endpoint \S+ of account|Could not find endpoint", words):
        told = NO_ENDPOINT
    told = told or "{about}: {words} ({code})"
    thing = about.removeprefix("the ")
    return told.format(about=about, thing=thing, region=region, code=code, words=words or "AWS gives no reason")


def is_busy(error: ClientError) -> bool:
    """Return whether nothing was begun and the same call may succeed in a moment."""
    return _code(error) in BUSY


def is_absent(error: ClientError) -> bool:
    """Return whether S3 says that there is no such object."""
    return _code(error) in {"404", "NoSuchKey", "NotFound"}


def is_silent(error: ClientError) -> bool:
    """Return whether S3 does not say if there is such an object; it tells those who may list the bucket."""
    return _status(error) == 403 and _code(error) not in BAD_CREDENTIALS


def _code(error: ClientError) -> str:
    return str(error.response["Error"].get("Code", ""))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _action(operation: str) -> str:
    """Return the permission that an operation needs."""
    services = {
        "s3": ("HeadObject", "GetObject", "PutObject", "ListObjectsV2", "HeadBucket", "CreateMultipartUpload"),
        "sqs": ("ReceiveMessage", "DeleteMessage"),
        "cloudwatch": ("GetMetricData",),
    }
    otherwise = {
        "HeadObject": "GetObject",
        "ListObjectsV2": "ListBucket",
        "HeadBucket": "ListBucket",
        "CreateMultipartUpload": "PutObject",
        "InvokeEndpointWithResponseStream": "InvokeEndpoint",
    }
    service = next((service for service, names in services.items() if operation in names), "sagemaker")
    return f"{service}:{otherwise.get(operation, operation)}"


def _unanswered(error: BotoCoreError, region: str, *, about: str) -> str:
    if isinstance(error, ReadTimeoutError):
        return f"{about} did not answer in time; long recordings are for an asynchronous endpoint"
    if isinstance(error, EndpointConnectionError) and "127.0.0.1" in str(error):
        return f"{sentence(str(error))}; AWS_ENDPOINT_URL points at this machine: does `make emulate` run?"
    return unanswered(error, region)
