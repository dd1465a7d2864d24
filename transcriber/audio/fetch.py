"""A source -> a file to decode. The only place where input comes out of S3."""

from __future__ import annotations

import io
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO

import boto3.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.response import StreamingBody

from transcriber.audio.disk import Disk
from transcriber.audio.places import Place, refuse
from transcriber.audio.s3_troubles import BROKEN_OFF, in_our_words
from transcriber.audio.sources import InlineBytes, S3Object, Source, Upload, WebAddress
from transcriber.audio.spool import spool
from transcriber.audio.web import Web
from transcriber.errors import (
    DeadlineExceeded,
    NotAudio,
    SourceUnavailable,
    TooLarge,
)
from transcriber.settings import Settings

if TYPE_CHECKING:  # the stubs are no part of the image
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

log = logging.getLogger(__name__)


class Fetcher:
    """Opens sources; one for the process, used by many threads at once."""

    def __init__(self, settings: Settings, *, disk: Disk, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the settings; the client is made when the first object is asked for.

        Args:
            settings: What the operator chose.
            disk: Where objects are put.
            clock: Monotonic seconds, the clock of deadlines.
        """
        self._disk = disk
        self._clock = clock
        self._places = tuple(map(Place.parse, settings.s3_places))
        self._attempts = settings.s3_max_attempts
        self._limit_bytes = settings.max_object_bytes
        self._web = Web(
            disk=disk,
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
    def open(self, source: Source, *, deadline_s: float = math.inf) -> Iterator[BinaryIO]:
        """Lend a seekable file with the bytes of a source, read from its beginning.

        An object is sized before it is fetched, and fetched as the version that was sized. Where the connection is cut,
        the rest is asked for. What is on the web is `Web`'s matter.

        Args:
            source: Where the audio is.
            deadline_s: On the fetcher's clock; an object that is not here by then is not waited for.

        Yields:
            The file; closed when the block is left, unless it is an upload's, which belongs to whoever spooled it.

        Raises:
            MalformedRequest: The bucket or the key cannot exist.
            SourceNotFound: There is no such object.
            SourceForbidden: S3 does not give it to this container, or callers may not name it.
            SourceUnavailable: S3 does not answer, breaks off, or the object changed meanwhile.
            DeadlineExceeded: The object did not come in time.
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
                refuse(source, self._places)
                with self._download(source, deadline_s) as upload:
                    yield upload.file

    @contextmanager
    def _download(self, source: S3Object, deadline_s: float) -> Iterator[Upload]:
        uri = source.uri
        with in_our_words(uri), self._with_credentials():
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
        stream = _Object(
            client,
            source,
            version=seen["ETag"],
            size_bytes=size_bytes,
            attempts=self._attempts,
            deadline_s=deadline_s,
            clock=self._clock,
        )
        with (
            closing(stream),
            spool(stream, disk=self._disk, limit_bytes=size_bytes, announced_bytes=size_bytes, what=uri) as upload,
        ):
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


class _Object:
    """The bytes of an object as they come, with our failures; a cut is mended as long as there are attempts left."""

    def __init__(
        self,
        client: S3Client,
        source: S3Object,
        *,
        version: str,
        size_bytes: int,
        attempts: int,
        deadline_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._source = source
        self._version = version
        self._size_bytes = size_bytes
        self._attempts_left = attempts
        self._deadline_s = deadline_s
        self._clock = clock
        self._at = 0
        self._body: StreamingBody | None = None

    def read(self, size: int, /) -> bytes:
        while True:
            if self._clock() >= self._deadline_s:
                raise DeadlineExceeded(f"the request ran out of time while {self._source.uri} was on its way")
            body = self._body or self._ask()
            try:
                with in_our_words(self._source.uri):
                    block = body.read(size)
            except SourceUnavailable as cut:
                if not self._attempts_left:
                    raise
                reason = cut.message
            else:
                self._at += len(block)
                if block or self._at == self._size_bytes or not self._attempts_left:
                    return block
                reason = "the answer was short"
            log.warning("object cut", extra={"at_bytes": self._at, "of_bytes": self._size_bytes, "reason": reason})
            self.close()

    def close(self) -> None:
        """Give the connection back, or up."""
        if self._body is not None:
            self._body.close()
            self._body = None

    def _ask(self) -> StreamingBody:
        """Ask for what has not come yet; botocore makes its own attempts at that."""
        self._attempts_left -= 1
        rest: GetObjectRequestTypeDef = {
            "Bucket": self._source.bucket,
            "Key": self._source.key,
            "IfMatch": self._version,
        }
        if self._at:
            rest["Range"] = f"bytes={self._at}-"
        with in_our_words(self._source.uri):
            answer = self._client.get_object(**rest)
        self._body = answer["Body"]
        if self._at and answer["ContentLength"] != self._size_bytes - self._at:
            raise BROKEN_OFF.told(uri=self._source.uri, code="it does not give the rest of an object")
        return self._body
