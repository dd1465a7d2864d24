"""What may go wrong between here and S3 is all known, and told in our words."""

from __future__ import annotations

import inspect

import pytest
from botocore import exceptions as boto
from urllib3.exceptions import HTTPError, SSLError

from transcriber.audio.s3_troubles import CODES, in_our_words, refusal_of
from transcriber.errors import (
    MalformedRequest,
    SourceForbidden,
    SourceUnavailable,
    TranscriberError,
)

URI = "s3://recordings/2024/talk é.wav"

EXPECTED: dict[type[TranscriberError], set[str]] = {
    MalformedRequest: {
        "EndpointResolutionError",
        "InvalidDNSNameError",
        "InvalidHostLabelError",
        "ParamValidationError",
        "UnsupportedOutpostResourceError",
        "UnsupportedS3AccesspointConfigurationError",
        "UnsupportedS3ArnError",
    },
    SourceForbidden: {
        "CredentialRetrievalError",
        "LoginAuthorizationCodeError",
        "LoginError",
        "LoginInsufficientPermissions",
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "MetadataRetrievalError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "RefreshWithMFAUnsupportedError",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnknownCredentialError",
    },
    SourceUnavailable: {
        # The network, or S3 itself: may pass.
        "CapacityNotAvailableError",
        "ChecksumError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "EndpointConnectionError",
        "FlexibleChecksumError",
        "HTTPClientError",
        "IncompleteReadError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "SSLError",
        # The AWS configuration, or boto3 itself: the operator's matter.
        "AliasConflictParameterError",
        "ApiVersionNotFoundError",
        "AwsChunkedWrapperError",
        "BaseEndpointResolverError",
        "BotoCoreError",
        "ConfigNotFound",
        "ConfigParseError",
        "DataNotFoundError",
        "EndpointProviderError",
        "EndpointVariantError",
        "InfiniteLoopConfigError",
        "InvalidChecksumConfigError",
        "InvalidConfigError",
        "InvalidDefaultsMode",
        "InvalidEndpointConfigurationError",
        "InvalidEndpointDiscoveryConfigurationError",
        "InvalidExpressionError",
        "InvalidIMDSEndpointError",
        "InvalidIMDSEndpointModeError",
        "InvalidMaxRetryAttemptsError",
        "InvalidProxiesConfigError",
        "InvalidRegionError",
        "InvalidRetryConfigurationError",
        "InvalidRetryModeError",
        "InvalidS3AddressingStyleError",
        "InvalidS3UsEast1RegionalEndpointConfigError",
        "InvalidSTSRegionalEndpointsConfigError",
        "MD5UnavailableError",
        "MissingDependencyException",
        "MissingParametersError",
        "MissingServiceIdError",
        "NoRegionError",
        "OperationNotPageableError",
        "PaginationError",
        "ProfileNotFound",
        "RangeError",
        "ServiceNotInRegionError",
        "StubAssertionError",
        "StubResponseError",
        "UnStubbedResponseError",
        "UndefinedModelAttributeError",
        "UnknownClientMethodError",
        "UnknownEndpointError",
        "UnknownEndpointResolutionBuiltInName",
        "UnknownFIPSEndpointError",
        "UnknownKeyError",
        "UnknownParameterError",
        "UnknownRegionError",
        "UnknownServiceError",
        "UnknownServiceStyle",
        "UnknownSignatureVersionError",
        "UnknownTokenProviderError",
        "UnseekableStreamError",
        "UnsupportedS3ConfigurationError",
        "UnsupportedS3ControlArnError",
        "UnsupportedS3ControlConfigurationError",
        "UnsupportedServiceProtocolsError",
        "UnsupportedSignatureVersionError",
        "ValidationError",
        "WaiterConfigError",
        "WaiterError",
    },
}


def botocore_exceptions() -> dict[str, type[Exception]]:
    """Every class but warnings and those that carry an answer of S3, which are told by code and status."""
    return {
        name: kind
        for name, kind in inspect.getmembers(boto, inspect.isclass)
        if issubclass(kind, Exception) and not issubclass(kind, (Warning, boto.ClientError))
    }


def test_every_botocore_exception_has_been_thought_about() -> None:
    """When botocore grows one, decide here and in `s3_troubles.CLASSES` what it means."""
    assert set(botocore_exceptions()) == set().union(*EXPECTED.values())


@pytest.mark.parametrize("name", botocore_exceptions())
def test_every_botocore_exception_becomes_ours(name: str) -> None:
    kind = botocore_exceptions()[name]
    error = kind.__new__(kind)

    with pytest.raises(TranscriberError) as caught, in_our_words(URI):
        raise error

    assert name in EXPECTED[type(caught.value)]
    assert URI in caught.value.message


@pytest.mark.parametrize(
    "error",
    [
        type("Novel", (boto.BotoCoreError,), {})(),
        type("NovelClientError", (boto.ClientError,), {})({}, "GetObject"),
        boto.ClientError({"Error": {"Code": "Novel"}}, "GetObject"),  # type: ignore[typeddict-item]
        boto.EventStreamError({"Error": {"Code": "Novel"}}, "GetObject"),  # type: ignore[typeddict-item]
        type("NovelHTTPError", (HTTPError,), {})(),
        SSLError("broken"),
        RecursionError(),
    ],
)
def test_what_nobody_knows_yet_becomes_ours_too(error: Exception) -> None:
    with pytest.raises(SourceUnavailable), in_our_words(URI):
        raise error


@pytest.mark.parametrize("code", CODES)
def test_every_code_counts_whatever_the_status(code: str) -> None:
    answers = [{"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}} for status in (400, 503)]

    assert [type(refusal_of(answer, uri=URI)) for answer in answers] == [CODES[code].error] * 2


def test_what_is_not_boto3s_passes() -> None:
    with pytest.raises(KeyError), in_our_words(URI):
        raise KeyError
