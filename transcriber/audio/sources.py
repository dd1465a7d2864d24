"""Where a request's audio is, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Object:
    """An object in S3: the role of the container must be able to read it."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """As the caller wrote it."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebAddress:
    """A file on the web, http or https; the settings say of which hosts."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineBytes:
    """Audio that came inside a JSON body, already decoded: the bytes of a file."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Upload:
    """Audio that came as the body itself, or as a part of it, and lies in a file without a name.

    Attributes:
        file: Seekable, readable; whoever spooled it closes it.
        size_bytes: Its length.
    """

    file: BinaryIO
    size_bytes: int


Source = S3Object | WebAddress | InlineBytes | Upload
