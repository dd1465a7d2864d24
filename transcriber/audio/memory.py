"""The room in memory that small files of all requests share: a few buffers, lent again and again."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from typing_extensions import Buffer

BUFFER_BYTES = 2 * 1024 * 1024
"""The longest file that is kept in memory: a minute of plain sound, or ten minutes of speech in Opus."""

BUFFERS = 32
"""64 MiB when all are lent at once. What finds none goes to disk, so this bounds nobody but the memory."""


class Memory:
    """Lends buffers; for many threads at once.

    They are made when they are first needed and never freed. Bodies of all lengths, each allocated for as long as its
    request lasts, would scatter the heap, and the process would grow for hours.
    """

    def __init__(self, *, buffers: int = BUFFERS, buffer_bytes: int = BUFFER_BYTES) -> None:
        """Store how many buffers there may be, and their length."""
        self.buffer_bytes = buffer_bytes
        self._lock = threading.Lock()
        self._unmade = buffers
        self._free: list[bytearray] = []

    def take(self) -> MemoryFile | None:
        """Return a file to be written and read, at most `buffer_bytes` long; None when all buffers are lent.

        Closing it gives its buffer back.
        """
        with self._lock:
            if self._free:
                return MemoryFile(self, self._free.pop())  # the one that was used last, and may still be in the cache
            if not self._unmade:
                return None
            self._unmade -= 1
        return MemoryFile(self, bytearray(self.buffer_bytes))

    def _give_back(self, buffer: bytearray) -> None:
        with self._lock:
            self._free.append(buffer)


class MemoryFile(io.RawIOBase):
    """A file in a buffer; what is read of it is a copy, which may outlive it."""

    def __init__(self, memory: Memory, buffer: bytearray) -> None:
        """Begin with nothing written; `Memory.take` makes them."""
        super().__init__()
        self._memory = memory
        self._buffer = buffer
        self._size_bytes = 0
        self._at = 0

    def write(self, content: Buffer) -> int:
        """Append; the file is written once, from its beginning to its end.

        Raises:
            ValueError: The buffer ends before the content does.
        """
        self._refuse_closed()
        end = self._size_bytes + memoryview(content).nbytes
        if end > len(self._buffer):
            raise ValueError(f"a file of {len(self._buffer):,} bytes at most, and {end:,} came")
        with memoryview(self._buffer) as whole:
            whole[self._size_bytes : end] = content
        written_bytes, self._size_bytes = end - self._size_bytes, end
        return written_bytes

    def fill(self, readinto: Callable[[memoryview], int], size_bytes: int) -> int:
        """Let something else write the file from its beginning, without a copy.

        Args:
            readinto: As files have it: fills a buffer or some of it, and returns how many bytes it was; 0 at its end.
            size_bytes: The most that is taken.

        Returns:
            How many bytes came.

        Raises:
            ValueError: The buffer is shorter than that.
        """
        self._refuse_closed()
        if size_bytes > len(self._buffer):
            raise ValueError(f"a file of {len(self._buffer):,} bytes at most, and {size_bytes:,} are to come")
        room = memoryview(self._buffer)[:size_bytes]
        while filled_bytes := readinto(room[self._size_bytes :]):
            self._size_bytes += filled_bytes
        return self._size_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes, all of them if no size is given."""
        self._refuse_closed()
        end = self._size_bytes if size is None or size < 0 else min(self._size_bytes, self._at + size)
        with memoryview(self._buffer) as whole:
            content = bytes(whole[self._at : end])
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move; beyond the end there is nothing to read."""
        self._refuse_closed()
        self._at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence] + offset)
        return self._at

    def readable(self) -> bool:
        """Say yes."""
        return True

    def writable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Give the buffer back."""
        if not self.closed:
            super().close()
            self._memory._give_back(self._buffer)  # noqa: SLF001 - the two are one thing in two classes

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError("the file is closed, and its buffer another's")
