"""The room that the bodies and objects of all requests share: on disk, and in memory for those that are small."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from typing_extensions import Buffer

from transcriber.audio.memory import Memory, MemoryFile
from transcriber.errors import Busy, TooLarge

RETRY_AFTER_S = 30
"""Seconds until a full disk is worth another try: about what the requests that fill it take to finish."""


class Disk:
    """Counts what lies on disk, and lends files without a name that count themselves; for many threads at once.

    Small files it lends from a memory beside it, as long as that has room; they are not counted.
    """

    def __init__(self, limit_bytes: int, *, memory: Memory | None = None) -> None:
        """Store the limit: bytes of all files together. The memory is for `file_of`, by default its own."""
        self._limit_bytes = limit_bytes
        self._memory = memory or Memory()
        self._lock = threading.Lock()
        self._used_bytes = 0

    @property
    def used_bytes(self) -> int:
        """What is taken now, written or announced."""
        return self._used_bytes

    @contextmanager
    def file(self, *, announced_bytes: int = 0) -> Iterator[DiskFile]:
        """Lend a file to be written and read; closed, and its room given back, when the block is left.

        The file has no name: the kernel frees it when it is closed, were it by the death of the process.

        Args:
            announced_bytes: Room that is taken before a byte has come, so that a refusal costs nothing.

        Raises:
            TooLarge: It announces more than there ever is.
            Busy: There is no such room now, or the disk takes no file. Writing may raise both, too.
        """
        with _room():
            nameless = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed with the file around it
        file = DiskFile(self, nameless)
        try:
            file.make_room(announced_bytes)
            yield file
        finally:
            file.close()

    @contextmanager
    def file_of(self, announced_bytes: int | None) -> Iterator[DiskFile | MemoryFile]:
        """Lend a file of a length that is known, or unknown; as `file`, or in memory as far as that goes.

        To make, write and free a file on disk takes longer than to copy a minute of sound.

        Args:
            announced_bytes: None where nothing is announced. No more than that will be written.

        Raises:
            TooLarge: As `file`.
            Busy: As `file`.
        """
        is_small = announced_bytes is not None and announced_bytes <= self._memory.buffer_bytes
        kept = self._memory.take() if is_small else None
        if kept is not None:
            with kept:
                yield kept
            return
        with self.file(announced_bytes=announced_bytes or 0) as file:
            yield file

    def _take(self, size_bytes: int, *, of_bytes: int) -> None:
        with self._lock:
            if of_bytes > self._limit_bytes:
                raise TooLarge(
                    f"the audio has more than the {self._limit_bytes:,} bytes that this container keeps on disk; "
                    "compress it (FLAC, Opus) or cut it into parts"
                )
            if self._used_bytes + size_bytes > self._limit_bytes:
                raise _full()
            self._used_bytes += size_bytes

    def _give_back(self, size_bytes: int) -> None:
        with self._lock:
            self._used_bytes -= size_bytes


class DiskFile(io.BufferedRandom):
    """A file of the disk; what it needs is taken before it is written."""

    def __init__(self, disk: Disk, nameless: io.FileIO) -> None:
        """Count a file on a disk; `Disk.file` makes them."""
        self._disk = disk
        self._taken_bytes = 0
        self._written_bytes = 0
        super().__init__(nameless)

    def make_room(self, size_bytes: int) -> None:
        """Take as much room as is missing to so many bytes in all; failures are those of `Disk.file`."""
        missing_bytes = size_bytes - self._taken_bytes
        if missing_bytes > 0:
            self._disk._take(missing_bytes, of_bytes=size_bytes)  # noqa: SLF001 - the two are one thing in two classes
            self._taken_bytes = size_bytes

    def write(self, content: Buffer) -> int:
        """Append; the file is written once, from its beginning to its end."""
        self.make_room(self._written_bytes + memoryview(content).nbytes)
        with _room():
            written_bytes = super().write(content)
        self._written_bytes += written_bytes
        return written_bytes

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move; what is still in the buffer is written first."""
        with _room():
            return super().seek(offset, whence)

    def close(self) -> None:
        """Free the file and give its room back."""
        if self.closed:
            return
        with suppress(OSError):  # a full disk complains once more about what is in the buffer; the file is closed
            super().close()
        self._disk._give_back(self._taken_bytes)  # noqa: SLF001


@contextmanager
def _room() -> Iterator[None]:
    """Tell callers that the disk is full: whatever the disk complains about, the request is not to blame."""
    try:
        yield
    except OSError as error:
        raise _full() from error


def _full() -> Busy:
    return Busy(
        "the container has no room on disk for this audio; try again later, or send less at once",
        retry_after_s=RETRY_AFTER_S,
    )
