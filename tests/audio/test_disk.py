from __future__ import annotations

import gc
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.disk import Disk
from transcriber.errors import Busy, TooLarge


def test_what_is_written_can_be_read() -> None:
    with Disk(10).file() as file:
        assert file.write(b"12345") == 5
        assert file.write(memoryview(b"67")) == 2
        assert file.seek(0) == 0
        assert file.read() == b"1234567"
        assert file.fileno() > 0


@pytest.mark.parametrize(("written", "is_taken"), [(9, True), (10, True), (11, False)])
def test_all_files_together_take_what_the_disk_has_and_not_a_byte_more(written: int, is_taken: bool) -> None:
    disk = Disk(20)
    with disk.file() as other, disk.file() as file:
        other.write(b"x" * 10)
        if is_taken:
            file.write(b"x" * written)

            assert disk.used_bytes == 10 + written
        else:
            with pytest.raises(Busy, match="no room on disk") as refusal:
                file.write(b"x" * written)
            assert refusal.value.retry_after_s
    assert disk.used_bytes == 0


@pytest.mark.parametrize(("announced", "is_taken"), [(9, True), (10, True), (11, False)])
def test_what_never_fits_is_too_large_and_not_told_to_return(announced: int, is_taken: bool) -> None:
    disk = Disk(10)
    if is_taken:
        with disk.file(announced_bytes=announced):
            assert disk.used_bytes == announced
    else:
        with pytest.raises(TooLarge, match="more than the 10 bytes"), disk.file(announced_bytes=announced):
            pass
    assert disk.used_bytes == 0


def test_room_that_was_announced_is_taken_once() -> None:
    disk = Disk(10)
    with disk.file(announced_bytes=6) as file:
        file.write(b"123456")
        assert disk.used_bytes == 6
        file.write(b"78")
        assert disk.used_bytes == 8


def test_a_refused_block_leaves_the_room_to_others() -> None:
    disk = Disk(10)
    with disk.file() as file:
        file.write(b"12345")
        with disk.file() as other, pytest.raises(Busy):
            other.write(b"123456")
        file.write(b"12345")


def test_a_file_that_nobody_closed_gives_its_room_back() -> None:
    disk = Disk(10)
    lent = disk.file()
    lent.__enter__().write(b"12345")
    del lent
    gc.collect()

    assert disk.used_bytes == 0


@given(sizes=st.lists(st.integers(0, 12), max_size=12))
def test_the_sum_is_kept_whatever_comes(sizes: list[int]) -> None:
    disk = Disk(20)
    for size in sizes:
        try:
            with disk.file(announced_bytes=size // 2) as file:
                file.write(b"x" * size)
                assert disk.used_bytes == max(size, size // 2)
        except (Busy, TooLarge):
            assert size > 20
    assert disk.used_bytes == 0


def test_many_threads_never_take_too_much() -> None:
    disk, most = Disk(50), []

    def write() -> None:
        for _ in range(200):
            try:
                with disk.file() as file:
                    file.write(b"x" * 10)
                    most.append(disk.used_bytes)
            except Busy:
                pass

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) <= 50
    assert disk.used_bytes == 0


@pytest.mark.usefixtures("small_disk")
def test_a_disk_that_is_full_before_its_limit_is_busy_and_gives_the_room_back() -> None:
    disk = Disk(10**9)

    with pytest.raises(Busy), disk.file() as file:
        for _ in range(100):
            file.write(b"x" * 1000)
        file.seek(0, 2)
    assert disk.used_bytes == 0
