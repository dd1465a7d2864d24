"""Where a request's audio is, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from transcriber.observability.accounts import SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """An object in S3: the role of the container must be able to read it."""

    kind: ClassVar = SourceKind.S3

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As the caller wrote it."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def address(self) -> str:
        """What no log shall hold: keys name customers and calls."""
        return self.uri


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """A file on the web, http or https; the settings say of which hosts."""

    kind: ClassVar = SourceKind.WEB

    url: str

    @property
    def address(self) -> str:
        """What no log shall hold: addresses name customers, and may carry keys."""
        return self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineBytes:
    """Audio that came inside a JSON body, already decoded: the bytes of a file."""

    kind: ClassVar = SourceKind.INLINE
    address: ClassVar = None

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upload:
    """Audio that came as the body itself, or as a part of it, and lies in a file without a name.

    Attributes:
        file: Seekable, readable; whoever spooled it closes it.
        size_bytes: Its length.
    """

    kind: ClassVar = SourceKind.BODY
    address: ClassVar = None

    file: BinaryIO
    size_bytes: int


Source = S3Object | WebAddress | InlineBytes | Upload
