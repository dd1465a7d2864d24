from __future__ import annotations

import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.memory import Memory, MemoryFile


def taken(memory: Memory) -> MemoryFile:
    file = memory.take()
    assert file is not None
    return file


@given(
    pieces=st.lists(st.binary(max_size=9), max_size=5),
    moves=st.lists(
        st.tuples(st.integers(-3, 50), st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]), st.integers(-1, 50)),
        max_size=5,
    ),
)
def test_it_reads_as_a_file_does(pieces: list[bytes], moves: list[tuple[int, int, int]]) -> None:
    reference = io.BytesIO(b"".join(pieces))
    with taken(Memory(buffer_bytes=64)) as file:
        for piece in pieces:
            assert file.write(memoryview(piece)) == len(piece)
        for offset, whence, size in moves:
            if whence == io.SEEK_SET and offset < 0:
                continue  # which files refuse, and nobody asks for
            assert file.seek(offset, whence) == reference.seek(offset, whence)
            assert file.tell() == reference.tell()
            assert file.read(size) == reference.read(size)


def test_there_are_only_so_many_and_a_closed_one_is_lent_again() -> None:
    memory = Memory(buffers=2, buffer_bytes=8)
    first, second = taken(memory), taken(memory)
    assert memory.take() is None

    first.close()
    first.close()

    with taken(memory), second:
        assert memory.take() is None


def test_the_next_sees_nothing_of_the_one_before() -> None:
    memory = Memory(buffers=1, buffer_bytes=8)
    with taken(memory) as file:
        file.write(b"secret")
    with taken(memory) as file:
        file.write(b"ab")
        file.seek(0)

        assert file.read() == b"ab"
        assert file.seek(0, io.SEEK_END) == 2


def test_what_was_read_outlives_the_file() -> None:
    memory = Memory(buffers=1, buffer_bytes=8)
    with taken(memory) as file:
        file.write(b"first")
        file.seek(0)
        read = file.read()
    with taken(memory) as file:
        file.write(b"other")

    assert read == b"first"


def test_who_reads_on_after_the_end_is_refused() -> None:
    file = taken(Memory())
    file.close()

    for act in (file.read, lambda: file.write(b"a"), lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            act()


def test_more_than_the_buffer_is_refused() -> None:
    with taken(Memory(buffer_bytes=4)) as file, pytest.raises(ValueError, match="4 bytes at most, and 5 came"):
        file.write(b"12345")


def test_it_has_no_descriptor() -> None:
    with taken(Memory()) as file, pytest.raises(OSError):  # noqa: PT011 - io.UnsupportedOperation is one
        file.fileno()


def test_no_two_threads_have_the_same_buffer() -> None:
    memory = Memory(buffers=4, buffer_bytes=8)
    spoiled: list[bytes] = []

    def work(name: bytes) -> None:
        for _ in range(300):
            with taken(memory) as file:
                file.write(name)
                file.seek(0)
                if (read := file.read()) != name:
                    spoiled.append(read)

    threads = [threading.Thread(target=work, args=[name]) for name in (b"a", b"bb", b"ccc", b"dddd")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not spoiled


@given(pieces=st.lists(st.integers(1, 9), max_size=9), limit_bytes=st.integers(0, 64))
def test_it_is_filled_until_its_end_or_that_of_what_fills_it(pieces: list[int], limit_bytes: int) -> None:
    source = io.BytesIO(bytes(range(sum(pieces))))
    sizes = iter(pieces)

    def readinto(buffer: memoryview) -> int:
        return source.readinto(buffer[: next(sizes, 0)])

    with taken(Memory(buffer_bytes=64)) as file:
        filled_bytes = file.fill(readinto, limit_bytes)
        file.seek(0)

        assert file.read() == source.getvalue()[:limit_bytes]
        assert filled_bytes == min(limit_bytes, sum(pieces))


def test_it_is_not_filled_beyond_its_buffer() -> None:
    with taken(Memory(buffer_bytes=4)) as file, pytest.raises(ValueError, match="a file of 4 bytes at most, and 5 are"):
        file.fill(io.BytesIO(b"12345").readinto, 5)
