"""A stream of bytes -> a bounded file without a name, or one in memory when it is small."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol, cast

from transcriber.audio.disk import Disk
from transcriber.audio.memory import MemoryFile
from transcriber.audio.sources import Upload
from transcriber.errors import TooLarge

BLOCK_BYTES = 256 * 1024
"""Bytes in memory at a time; more gains nothing over a socket."""


class Stream(Protocol):
    """What a body is read from; it need not be seekable.

    One that has `readinto`, too, as files have it, is read by that into a file in memory.
    """

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


@contextmanager
def spool(
    stream: Stream, *, disk: Disk, limit_bytes: int, announced_bytes: int | None = None, what: str = "the body"
) -> Iterator[Upload]:
    """Copy a stream to disk, or to memory if it is small, as it arrives, and lend the file, to be read from its start.

    Args:
        stream: Read to its end. What it raises passes through.
        disk: Where there must be room beside what other requests have there.
        limit_bytes: The most that is taken.
        announced_bytes: What the sender says will come, and the stream does not pass; None when it says nothing.
        what: How the stream is called in messages.

    Yields:
        The file; closed when the block is left.

    Raises:
        TooLarge: More than `limit_bytes`, or than the whole disk holds, is announced or arrives.
        Busy: There is no room for it on disk.
    """
    if announced_bytes is not None and announced_bytes > limit_bytes:
        raise _too_large(f"{what} has {announced_bytes:,} bytes", limit_bytes)
    with disk.file_of(announced_bytes) as file:
        size_bytes = 0
        readinto = getattr(stream, "readinto", None)
        if readinto is not None and announced_bytes is not None and isinstance(file, MemoryFile):
            size_bytes = file.fill(readinto, announced_bytes)
        while block := stream.read(BLOCK_BYTES):
            size_bytes += len(block)
            if size_bytes > limit_bytes:
                raise _too_large(f"{what} is still coming", limit_bytes)
            file.write(block)
        file.seek(0)
        yield Upload(file=cast("BinaryIO", file), size_bytes=size_bytes)


def _too_large(finding: str, limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"{finding}, more than the {limit_bytes:,} that this container takes; compress the audio (FLAC, Opus) or cut "
        "it into parts"
    )
