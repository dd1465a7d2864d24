"""What the failures of S3 and of boto3 mean to a caller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from boto3.exceptions import Boto3Error
from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from transcriber.errors import (
    MalformedRequest,
    RequestError,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
    TranscriberError,
)

RETRY_AFTER_S = 5
"""Seconds until S3 is worth another try; botocore has made its own attempts by then."""

FOREIGN = (
    boto.BotoCoreError,
    boto.ClientError,
    boto.UndefinedModelAttributeError,
    Boto3Error,
    HTTPError,  # urllib3's, which botocore translates only in part while a body is read
    ValueError,  # an endpoint that is no URL
    RecursionError,  # a store that redirects whatever it is asked, also where the bucket is (S3RegionRedirectorv2)
)
"""All that boto3 raises."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What a foreign failure means here; the sentence may name {uri} and {code}."""

    error: type[RequestError | SourceUnavailable]
    sentence: str
    passes: bool = False

    def told(self, *, uri: str, code: str) -> TranscriberError:
        message = self.sentence.format(uri=uri, code=code)
        if self.passes:
            return SourceUnavailable(message, retry_after_s=RETRY_AFTER_S)
        return self.error(message)


ADDRESS = _Trouble(MalformedRequest, "{uri} cannot be the address of an object ({code}); write s3://bucket/key")
MISSING = _Trouble(SourceNotFound, "there is no object at {uri} ({code}); check the bucket and the key")
FORBIDDEN = _Trouble(
    SourceForbidden,
    "S3 does not let this container read {uri} ({code}); grant its execution role s3:GetObject on it, and "
    "s3:ListBucket on the bucket, without which a missing object looks forbidden too",
)
STRANGER = _Trouble(
    SourceForbidden,
    "S3 does not accept the credentials with which this container asks for {uri} ({code}); check its execution role "
    "and its clock",
)
ANONYMOUS = _Trouble(
    SourceForbidden,
    "this container has no AWS credentials to read {uri} with ({code}); give it an execution role, or send the audio "
    "in the request",
)
ENCRYPTED = _Trouble(
    SourceForbidden,
    "{uri} is encrypted with a key that this container may not use ({code}); grant its execution role kms:Decrypt",
)
ARCHIVED = _Trouble(SourceForbidden, "{uri} is archived ({code}); restore it before it is transcribed")
REFUSED = _Trouble(SourceForbidden, "S3 refuses to give {uri} to this container ({code})")
UNEXPLAINED = _Trouble(  # answers to HEAD have no body, so that the status is all there is
    SourceForbidden,
    "S3 refuses to show {uri} to this container ({code}); most often its credentials have expired, or the object is "
    "encrypted with a key of its owner (SSE-C)",
)
CHANGED = _Trouble(SourceUnavailable, "{uri} was replaced while it was being read ({code}); try again", passes=True)
ELSEWHERE = _Trouble(
    SourceUnavailable,
    "the bucket of {uri} is in another region than this container asks in ({code}); set AWS_REGION to that region",
)
BROKEN_OFF = _Trouble(SourceUnavailable, "S3 does not answer for {uri}, or breaks off ({code}); try again", passes=True)
MISCONFIGURED = _Trouble(
    SourceUnavailable,
    "{uri} cannot be read with the AWS configuration of this container ({code}); its operator must act",
)

CLASSES: tuple[tuple[_Trouble, tuple[type[Exception], ...]], ...] = (
    (
        ADDRESS,
        (
            boto.EndpointResolutionError,
            boto.ParamValidationError,
            boto.InvalidDNSNameError,
            boto.InvalidHostLabelError,
            boto.UnsupportedOutpostResourceError,
            boto.UnsupportedS3AccesspointConfigurationError,
            boto.UnsupportedS3ArnError,
        ),
    ),
    (
        ANONYMOUS,
        (
            boto.CredentialRetrievalError,
            boto.LoginError,
            boto.MetadataRetrievalError,
            boto.NoAuthTokenError,
            boto.NoCredentialsError,
            boto.PartialCredentialsError,
            boto.RefreshWithMFAUnsupportedError,
            boto.SSOError,
            boto.TokenRetrievalError,
            boto.UnknownCredentialError,
        ),
    ),
    (
        BROKEN_OFF,
        (
            boto.CapacityNotAvailableError,
            boto.ChecksumError,
            boto.ConnectionError,
            boto.FlexibleChecksumError,
            boto.HTTPClientError,
            boto.IncompleteReadError,
            HTTPError,
        ),
    ),
    (ELSEWHERE, (RecursionError,)),
    (MISCONFIGURED, FOREIGN),
)
"""What exceptions without an answer of S3 mean; the first that fits counts."""

CODES: dict[str, _Trouble] = {
    "400": UNEXPLAINED,
    "NoSuchAccessPoint": MISSING,
    "NoSuchBucket": MISSING,
    "NoSuchKey": MISSING,
    "NoSuchVersion": MISSING,
    "InvalidArgument": ADDRESS,
    "InvalidBucketName": ADDRESS,
    "InvalidURI": ADDRESS,
    "KeyTooLongError": ADDRESS,
    "MethodNotAllowed": ADDRESS,
    "AuthFailure": STRANGER,
    "ExpiredToken": STRANGER,
    "ExpiredTokenException": STRANGER,
    "InvalidAccessKeyId": STRANGER,
    "InvalidClientTokenId": STRANGER,
    "InvalidSecurity": STRANGER,
    "InvalidToken": STRANGER,
    "RequestExpired": STRANGER,
    "RequestTimeTooSkewed": STRANGER,
    "SignatureDoesNotMatch": STRANGER,
    "TokenRefreshRequired": STRANGER,
    "UnrecognizedClientException": STRANGER,
    "InvalidObjectState": ARCHIVED,
    "PreconditionFailed": CHANGED,
    "AuthorizationHeaderMalformed": ELSEWHERE,
    "IllegalLocationConstraintException": ELSEWHERE,
    "IncorrectEndpoint": ELSEWHERE,
    "PermanentRedirect": ELSEWHERE,
    "TemporaryRedirect": ELSEWHERE,
    "KMS.ThrottlingException": BROKEN_OFF,
    "BandwidthLimitExceeded": BROKEN_OFF,
    "OperationAborted": BROKEN_OFF,
    "PriorRequestNotComplete": BROKEN_OFF,
    "RequestLimitExceeded": BROKEN_OFF,
    "RequestTimeout": BROKEN_OFF,
    "RequestTimeoutException": BROKEN_OFF,
    "SlowDown": BROKEN_OFF,
    "Throttling": BROKEN_OFF,
    "ThrottlingException": BROKEN_OFF,
    "TooManyRequestsException": BROKEN_OFF,
}
"""Error codes of S3 (API reference, "Error responses") that say more than their HTTP status."""

STATUSES: dict[int, _Trouble] = {
    301: ELSEWHERE,
    302: ELSEWHERE,
    307: ELSEWHERE,
    308: ELSEWHERE,
    401: FORBIDDEN,
    403: FORBIDDEN,
    404: MISSING,
    408: BROKEN_OFF,
    410: MISSING,
    412: CHANGED,
    429: BROKEN_OFF,
}
"""HTTP statuses, where the code says nothing more."""


@contextmanager
def in_our_words(uri: str) -> Iterator[None]:
    """Turn everything that boto3 raises into failures of ours."""
    try:
        yield
    except boto.ClientError as error:
        raise refusal_of(error.response, uri=uri) from error
    except FOREIGN as error:
        trouble = next(trouble for trouble, classes in CLASSES if isinstance(error, classes))
        raise trouble.told(uri=uri, code=type(error).__name__) from error


def refusal_of(answer: Mapping[str, Any], *, uri: str) -> TranscriberError:
    """Say what an answer of S3 means, by its code first and by its status where the code says nothing."""
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    trouble = CODES.get(code) or (ENCRYPTED if code.startswith("KMS.") else None) or STATUSES.get(status)
    if trouble is None:
        trouble = REFUSED if 400 <= status < 500 else BROKEN_OFF
    return trouble.told(uri=uri, code=code or str(status))
