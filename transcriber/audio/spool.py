"""A stream of bytes -> a bounded file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Protocol, cast

from transcriber.audio.sources import Upload
from transcriber.errors import Busy, TooLarge

BLOCK_BYTES = 256 * 1024
"""Bytes in memory at a time; more gains nothing over a socket."""

RETRY_AFTER_S = 30
"""Seconds until a full disk is worth another try: about what the requests that fill it take to finish."""


class Stream(Protocol):
    """What a body is read from; it need not be seekable."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


@contextmanager
def spool(
    stream: Stream, *, limit_bytes: int, announced_bytes: int | None = None, what: str = "the body"
) -> Iterator[Upload]:
    """Copy a stream to disk as it arrives and lend the file, to be read from its beginning.

    The file has no name: the kernel frees it when it is closed, were it by the death of the process.

    Args:
        stream: Read to its end. What it raises passes through.
        limit_bytes: The most that is taken.
        announced_bytes: What the sender says will come; None when it says nothing. Only used to refuse early.
        what: How the stream is called in messages.

    Yields:
        The file; closed when the block is left.

    Raises:
        TooLarge: More than `limit_bytes` is announced or arrives.
        Busy: There is no room for it on disk.
    """
    if announced_bytes is not None and announced_bytes > limit_bytes:
        raise _too_large(f"{what} has {announced_bytes:,} bytes", limit_bytes)
    with _room():
        nameless = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    file = cast("BinaryIO", nameless)  # it is one in all but typeshed's name
    try:
        size_bytes = 0
        while block := stream.read(BLOCK_BYTES):
            size_bytes += len(block)
            if size_bytes > limit_bytes:
                raise _too_large(f"{what} is still coming", limit_bytes)
            with _room():
                file.write(block)
        with _room():
            file.seek(0)  # writes what is still in the file's buffer
        yield Upload(file=file, size_bytes=size_bytes)
    finally:
        with suppress(OSError):  # a full disk complains once more about what is in the buffer; the file is closed
            file.close()


@contextmanager
def _room() -> Iterator[None]:
    """Tell callers that the disk is full: whatever the disk complains about, the request is not to blame."""
    try:
        yield
    except OSError as error:
        raise Busy(
            "the container has no room on disk for this audio; try again later, or send less at once",
            retry_after_s=RETRY_AFTER_S,
        ) from error


def _too_large(finding: str, limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"{finding}, more than the {limit_bytes:,} that this container takes; compress the audio (FLAC, Opus) or cut "
        "it into parts"
    )
