"""A source -> a file to decode. The only place where input comes out of S3."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3.session
from boto3.exceptions import Boto3Error
from botocore import exceptions as boto
from botocore.config import Config
from urllib3.exceptions import HTTPError

from transcriber.audio.sources import InlineBytes, S3Object, Source, Upload, WebAddress
from transcriber.audio.spool import Stream, spool
from transcriber.audio.web import Web
from transcriber.errors import (
    MalformedRequest,
    NotAudio,
    RequestError,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
    TooLarge,
    TranscriberError,
)
from transcriber.settings import Settings

if TYPE_CHECKING:  # the stubs are no part of the image
    from mypy_boto3_s3 import S3Client

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


class Fetcher:
    """Opens sources; one for the process, used by many threads at once."""

    def __init__(self, settings: Settings) -> None:
        """Store the settings; the client is made when the first object is asked for."""
        self._limit_bytes = settings.max_object_bytes
        self._web = Web(
            allowed_hosts=settings.url_hosts,
            limit_bytes=settings.max_object_bytes,
            limit_s=settings.url_timeout_seconds,
        )
        self._endpoint_url = settings.s3_endpoint_url
        self._config = Config(
            connect_timeout=settings.s3_connect_timeout_seconds,
            read_timeout=settings.s3_read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": settings.s3_max_attempts},
            max_pool_connections=settings.max_requests_in_flight,
            # Stores other than S3 seldom answer to the bucket's name as a host.
            s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
        )
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    @contextmanager
    def open(self, source: Source) -> Iterator[BinaryIO]:
        """Lend a seekable file with the bytes of a source, read from its beginning.

        An object is sized before it is fetched, and fetched as the version that was sized. What is on the web is
        `Web`'s matter.

        Yields:
            The file; closed when the block is left, unless it is an upload's, which belongs to whoever spooled it.

        Raises:
            MalformedRequest: The bucket or the key cannot exist.
            SourceNotFound: There is no such object.
            SourceForbidden: S3 does not give it to this container.
            SourceUnavailable: S3 does not answer, breaks off, or the object changed meanwhile.
            TooLarge: The object is larger than the settings allow.
            NotAudio: The object is empty.
            Busy: There is no room for it on disk.
        """
        match source:
            case InlineBytes():
                with io.BytesIO(source.data) as file:
                    yield file
            case Upload():
                source.file.seek(0)
                yield source.file
            case WebAddress():
                with self._web.open(source) as file:
                    yield file
            case S3Object():
                with self._download(source) as upload:
                    yield upload.file

    @contextmanager
    def _download(self, source: S3Object) -> Iterator[Upload]:
        uri = source.uri
        with _our_words(uri), self._with_credentials():
            client = self._connected()
            seen = client.head_object(Bucket=source.bucket, Key=source.key)
        size_bytes = seen["ContentLength"]
        if size_bytes > self._limit_bytes:
            raise TooLarge(
                f"{uri} has {size_bytes:,} bytes, more than the {self._limit_bytes:,} that this container takes; "
                "compress the audio (FLAC, Opus) or cut it into parts"
            )
        if size_bytes == 0:
            raise NotAudio(f"{uri} is empty; name an object that holds audio")
        with _our_words(uri):
            answer = client.get_object(Bucket=source.bucket, Key=source.key, IfMatch=seen["ETag"])
        with closing(answer["Body"]) as body, spool(_Body(body, uri), limit_bytes=size_bytes, what=uri) as upload:
            if upload.size_bytes < size_bytes:
                raise BROKEN_OFF.told(uri=uri, code=f"{upload.size_bytes:,} of {size_bytes:,} bytes came")
            yield upload

    def _connected(self) -> S3Client:
        with self._lock:
            if self._client is None:
                session = boto3.session.Session()
                self._client = session.client("s3", endpoint_url=self._endpoint_url, config=self._config)
            return self._client

    @contextmanager
    def _with_credentials(self) -> Iterator[None]:
        """Make a new client next time if this one has none: it looks for credentials only when it is made."""
        try:
            yield
        except boto.NoCredentialsError:
            with self._lock:
                self._client = None
            raise


@dataclass(frozen=True, slots=True)
class _Body:
    """The bytes of an object as they come, with our failures."""

    stream: Stream
    uri: str

    def read(self, size: int, /) -> bytes:
        with _our_words(self.uri):
            return self.stream.read(size)


@contextmanager
def _our_words(uri: str) -> Iterator[None]:
    """Turn everything that boto3 raises into failures of ours."""
    try:
        yield
    except boto.ClientError as error:
        raise _refusal(error.response, uri=uri) from error
    except FOREIGN as error:
        trouble = next(trouble for trouble, classes in CLASSES if isinstance(error, classes))
        raise trouble.told(uri=uri, code=type(error).__name__) from error


def _refusal(answer: Mapping[str, Any], *, uri: str) -> TranscriberError:
    """Say what an answer of S3 means, by its code first and by its status where the code says nothing."""
    code = str(answer.get("Error", {}).get("Code", ""))
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    trouble = CODES.get(code) or (ENCRYPTED if code.startswith("KMS.") else None) or STATUSES.get(status)
    if trouble is None:
        trouble = REFUSED if 400 <= status < 500 else BROKEN_OFF
    return trouble.told(uri=uri, code=code or str(status))
