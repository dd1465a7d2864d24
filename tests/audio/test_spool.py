from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio import spool as room
from transcriber.audio.disk import Disk
from transcriber.audio.memory import Memory
from transcriber.audio.spool import BLOCK_BYTES
from transcriber.errors import Busy, TooLarge

spool = partial(room.spool, disk=Disk(1_000_000))


class Dripping:
    """A stream that gives what it likes, and then perhaps breaks."""

    def __init__(self, *pieces: bytes, then: Exception | None = None) -> None:
        self._pieces = iter(pieces)
        self._then = then
        self.reads: list[int] = []

    def read(self, size: int, /) -> bytes:
        self.reads.append(size)
        piece = next(self._pieces, None)
        if piece is None and self._then:
            raise self._then
        return piece or b""


@pytest.fixture(autouse=True, scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that only this room writes to: other threads of the tests open files too."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("spool"))
    yield Path(tempfile.tempdir)
    tempfile.tempdir = before


def open_files() -> set[str]:
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed by another thread meanwhile
            found.add(str(link.readlink()))
    return {name for name in found if name.startswith(tempfile.gettempdir())}


def test_an_open_file_is_seen() -> None:
    with spool(Dripping(b"a"), limit_bytes=5):
        assert len(open_files()) == 1


@given(pieces=st.lists(st.binary(min_size=1, max_size=9), max_size=9))
def test_the_file_holds_what_came(pieces: list[bytes]) -> None:
    with spool(Dripping(*pieces), limit_bytes=81) as upload:
        assert upload.file.read() == b"".join(pieces)
        assert upload.size_bytes == len(b"".join(pieces))


def test_the_stream_is_read_in_blocks() -> None:
    stream = Dripping(b"a", b"b")

    with spool(stream, limit_bytes=10):
        pass

    assert stream.reads == [BLOCK_BYTES] * 3


def test_the_file_has_no_name() -> None:
    """Nothing can be left on disk, even by a process that is killed."""
    with spool(Dripping(b"a" * BLOCK_BYTES), limit_bytes=BLOCK_BYTES):
        assert list(Path(tempfile.gettempdir()).iterdir()) == []


def test_the_file_is_closed_after_the_block() -> None:
    with spool(Dripping(b"a"), limit_bytes=1) as upload:
        pass

    assert upload.file.closed


def test_what_passes_the_limit_is_refused_as_soon_as_it_does() -> None:
    stream = Dripping(b"1234", b"56", b"never read")

    with pytest.raises(TooLarge, match=r"the body is still coming, more than the 5 that"), spool(stream, limit_bytes=5):
        pass

    assert len(stream.reads) == 2


def test_exactly_the_limit_is_taken() -> None:
    with spool(Dripping(b"12345"), limit_bytes=5, announced_bytes=5) as upload:
        assert upload.size_bytes == 5


def test_an_announced_excess_is_refused_before_a_byte_is_read() -> None:
    stream = Dripping(b"123456")

    with pytest.raises(TooLarge, match="the form has 6 bytes, more than the 5"):  # noqa: SIM117 - what raises is shown
        with spool(stream, limit_bytes=5, announced_bytes=6, what="the form"):
            pass

    assert stream.reads == []


def test_a_false_announcement_does_not_count() -> None:
    with (
        pytest.raises(TooLarge),
        spool(Dripping(b"123456"), limit_bytes=5, announced_bytes=1),
    ):
        pass


def test_nothing_leaks_when_the_stream_breaks() -> None:
    with pytest.raises(ConnectionResetError), spool(Dripping(b"a", then=ConnectionResetError()), limit_bytes=5):
        pass

    assert not open_files()


def test_nothing_leaks_when_the_user_fails() -> None:
    with pytest.raises(KeyError), spool(Dripping(b"a"), limit_bytes=5):
        raise KeyError

    assert not open_files()


@pytest.mark.parametrize("pieces", [[b"a" * 100_000], [b"a" * 1000] * 100, [b"a" * 65_536, b"b"]])
@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_is_busy(pieces: list[bytes]) -> None:
    with pytest.raises(Busy, match="no room on disk") as refusal, spool(Dripping(*pieces), limit_bytes=1_000_000):
        pass

    assert refusal.value.retry_after_s
    assert not open_files()


def test_a_disk_that_takes_no_file_is_busy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))

    with pytest.raises(Busy), spool(Dripping(b"a"), limit_bytes=5):
        pass


def test_an_announced_length_takes_its_room_before_a_byte_is_read() -> None:
    disk, stream = Disk(10, memory=Memory(buffers=0)), Dripping(b"123456")

    with disk.file(announced_bytes=5), pytest.raises(Busy, match="no room on disk"):  # noqa: SIM117
        with room.spool(stream, disk=disk, limit_bytes=10, announced_bytes=6):
            pass

    assert stream.reads == []
    assert disk.used_bytes == 0


@pytest.mark.parametrize(("announced_bytes", "is_kept"), [(0, True), (8, True), (9, False), (None, False)])
def test_what_announces_little_stays_in_memory(announced_bytes: int | None, *, is_kept: bool) -> None:
    disk, body = Disk(9, memory=Memory(buffer_bytes=8)), bytes(announced_bytes or 0)

    with room.spool(io.BytesIO(body), disk=disk, limit_bytes=9, announced_bytes=announced_bytes) as upload:
        assert upload.file.read() == body
        assert upload.size_bytes == len(body)
        assert len(open_files()) == (not is_kept)
        assert disk.used_bytes == (0 if is_kept else len(body))

    assert upload.file.closed


def test_what_finds_no_memory_goes_to_disk() -> None:
    disk = Disk(9, memory=Memory(buffers=1))
    with room.spool(io.BytesIO(b"abc"), disk=disk, limit_bytes=9, announced_bytes=3):
        assert disk.used_bytes == 0
        with room.spool(io.BytesIO(b"abc"), disk=disk, limit_bytes=9, announced_bytes=3) as second:
            assert disk.used_bytes == 3
            assert second.file.read() == b"abc"


def test_memory_is_free_again_when_the_stream_breaks() -> None:
    memory = Memory(buffers=1)
    with (
        pytest.raises(ConnectionResetError),
        room.spool(
            Dripping(b"a", then=ConnectionResetError()), disk=Disk(9, memory=memory), limit_bytes=9, announced_bytes=3
        ),
    ):
        pass

    assert memory.take() is not None


def test_an_empty_stream_is_an_empty_file() -> None:
    with spool(io.BytesIO(), limit_bytes=5) as upload:
        assert upload.size_bytes == 0


@pytest.mark.parametrize("announced_bytes", [4, 9], ids=["as announced", "broken off"])
def test_a_file_in_memory_is_filled_without_a_copy(announced_bytes: int) -> None:
    stream = io.BytesIO(b"1234")
    blocks: list[int] = []

    class Filling:
        def read(self, size: int, /) -> bytes:
            blocks.append(size)
            return stream.read(size)

        def readinto(self, buffer: memoryview, /) -> int:
            return stream.readinto(buffer)

    with spool(Filling(), limit_bytes=10, announced_bytes=announced_bytes) as upload:
        assert (upload.file.read(), upload.size_bytes) == (b"1234", 4)
    assert blocks == [BLOCK_BYTES]  # which found the end
