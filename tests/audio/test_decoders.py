"""What a file does to its decoder, it does to nothing else."""

from __future__ import annotations

import ctypes
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from tests.audio.sound_files import sound_file
from tests.chaos.processes import identity_of
from tests.conftest import ROOT
from tests.patience import wait_until
from transcriber.audio.decode import decode
from transcriber.audio.decoder_process import STARVED
from transcriber.audio.decoders import Decoders
from transcriber.audio.waveform import Pcm
from transcriber.errors import Busy, NotAudio, TooLarge

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
STALL_S = 0.4
MP3 = sound_file("mp3 stereo 44.1 kHz")
PLAIN = sound_file("wav 16-bit mono 16 kHz")


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    made = Decoders(stall_s=60.0)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def unruly() -> Iterator[Decoders]:
    made = Decoders(stall_s=STALL_S, module="tests.audio.unruly_decoder")
    made.start()
    yield made
    made.close()


def decoded(decoders: Decoders, file: bytes | BinaryIO, *, limit_s: float = 60.0) -> Pcm:
    stream = io.BytesIO(file) if isinstance(file, bytes) else file
    with decoders.open(stream, limit_s=limit_s) as sound:
        return np.concatenate(list(sound.blocks))


@pytest.mark.parametrize("kind", ["mp3 stereo 44.1 kHz", "wav 16-bit stereo 44.1 kHz", "ogg opus", "m4a aac"])
def test_the_samples_are_those_of_decoding_here(decoders: Decoders, kind: str) -> None:
    file = sound_file(kind, seconds=12.0)
    with decoders.open(io.BytesIO(file), limit_s=60.0) as sound:
        blocks = list(sound.blocks)

    assert np.array_equal(np.concatenate(blocks), decode(io.BytesIO(file), limit_s=60.0).pcm)
    assert len(blocks) == 2
    assert all(block.flags.owndata or block.base is not None for block in blocks)


def test_files_on_disk_and_in_memory_are_taken(decoders: Decoders) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(MP3)

        assert np.array_equal(decoded(decoders, file), decoded(decoders, MP3))
        assert not file.closed


def test_what_needs_no_decoder_has_none() -> None:
    without = Decoders(stall_s=60.0, module="no.such.module")

    assert np.array_equal(decoded(without, PLAIN), decode(io.BytesIO(PLAIN), limit_s=9.0).pcm)
    assert without._template is None


def test_refusals_are_those_of_decoding_here(decoders: Decoders) -> None:
    for file, limit_s in ((b"plain words", 60.0), (MP3, 1.25), (b"", 60.0), (b"fLaC" + bytes(100), 60.0)):
        with pytest.raises((NotAudio, TooLarge)) as here:
            decode(io.BytesIO(file), limit_s=limit_s)
        with pytest.raises(type(here.value)) as there:
            decoded(decoders, file, limit_s=limit_s)

        assert there.value.message == here.value.message


def test_a_decoder_is_used_again(decoders: Decoders) -> None:
    decoded(decoders, MP3)
    (first, *_) = list(decoders._idle)
    for _ in range(5):
        decoded(decoders, MP3)

    assert first in decoders._idle


def test_many_files_at_once_keep_apart(decoders: Decoders) -> None:
    files = {kind: sound_file(kind) for kind in ("mp3 mono 16 kHz", "flac mono 16 kHz", "ogg opus", "m4a aac")}
    expected = {kind: decode(io.BytesIO(file), limit_s=9.0).pcm for kind, file in files.items()}

    with ThreadPoolExecutor(24) as threads:
        results = list(threads.map(lambda kind: (kind, decoded(decoders, files[kind])), [*files] * 12))

    assert all(np.array_equal(samples, expected[kind]) for kind, samples in results)


def test_a_file_that_is_left_in_the_middle_ends_its_decoder(decoders: Decoders) -> None:
    with decoders.open(io.BytesIO(sound_file("mp3 mono 16 kHz", seconds=60.0)), limit_s=90.0) as sound:
        next(sound.blocks)
    assert all(decoder.is_idle for decoder in decoders._idle)
    assert len(decoded(decoders, MP3)) > 0


@pytest.mark.parametrize("wish", [b"crash", b"abort", b"late crash"])
def test_a_file_that_crashes_its_decoder_is_refused_and_the_next_is_read(unruly: Decoders, wish: bytes) -> None:
    with pytest.raises(NotAudio, match="breaks its decoder; encode the sound again"):
        decoded(unruly, wish)
    assert len(decoded(unruly, MP3)) > 0


@pytest.mark.parametrize("wish", [b"wait", b"spin", b"late wait"])
def test_a_file_that_its_decoder_never_comes_back_from_is_refused(unruly: Decoders, wish: bytes) -> None:
    began_s = time.monotonic()
    with pytest.raises(NotAudio, match=f"made nothing of it for {STALL_S} seconds"):
        decoded(unruly, wish)

    assert time.monotonic() - began_s < 30
    assert len(decoded(unruly, MP3)) > 0


def test_a_decoder_that_gets_no_core_for_long_is_waited_for(unruly: Decoders) -> None:
    assert len(decoded(unruly, b"late nap")) == 16_000


def test_a_server_that_takes_its_time_stalls_nothing(unruly: Decoders) -> None:
    """The alarm is for decoders at work, not for those whose block nobody has taken yet."""
    with unruly.open(io.BytesIO(sound_file("mp3 mono 16 kHz", seconds=60.0)), limit_s=90.0) as sound:
        first = next(sound.blocks)
        time.sleep(1.5 * STARVED * STALL_S)  # there is no other clock than the kernel's own
        rest = list(sound.blocks)

    assert len(first) + sum(map(len, rest)) >= 60 * 16_000


def test_neighbours_of_a_crash_notice_nothing(unruly: Decoders) -> None:
    wishes = [b"crash", MP3, b"abort", MP3, b"late crash", MP3] * 4

    def outcome(file: bytes) -> object:
        try:
            return len(decoded(unruly, file))
        except NotAudio as error:
            return type(error)

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(outcome, wishes))

    assert outcomes == [NotAudio if file != MP3 else len(decoded(unruly, MP3)) for file in wishes]


def test_a_decoder_has_an_end_of_memory(unruly: Decoders) -> None:
    with pytest.raises(NotAudio, match="takes more memory to decode than any recording does"):
        decoded(unruly, b"eat")


def test_a_slip_of_ours_is_told_to_the_log_and_not_blamed_on_the_file(unruly: Decoders) -> None:
    with pytest.raises(RuntimeError, match="a slip of ours"):
        decoded(unruly, b"slip")


def test_a_decoder_writes_nothing_and_knows_nothing_of_the_servers(
    unruly: Decoders,
) -> None:
    with pytest.raises(NotAudio, match="breaks its decoder"):
        decoded(unruly, b"write")
    with pytest.raises(RuntimeError) as told:
        decoded(unruly, b"look")

    assert "AWS" not in str(told.value)
    assert "HOME" not in str(told.value)
    if os.geteuid() == 0:
        assert '"65534 [' in str(told.value)


@pytest.mark.parametrize("wish", [b"be killed", b"late be killed"])
def test_a_decoder_that_somebody_kills_is_not_blamed_on_its_file(unruly: Decoders, wish: bytes) -> None:
    with pytest.raises(Busy, match="no decoder for this audio now"):
        decoded(unruly, wish)
    assert len(decoded(unruly, MP3)) > 0


def test_when_all_decoders_are_killed_files_are_not_blamed_and_new_ones_come(unruly: Decoders) -> None:
    with pytest.raises(Busy, match="no decoder for this audio now"):
        decoded(unruly, b"kill")
    assert len(decoded(unruly, MP3)) > 0


def test_idle_decoders_that_were_killed_are_replaced(decoders: Decoders) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: decoded(decoders, MP3), range(12)))
    assert decoders._template is not None
    template = decoders._template._process
    children = decoder_pids(template.pid)
    template.kill()
    wait_for_end_of(*children)

    assert len(decoded(decoders, MP3)) > 0


def test_a_file_that_comes_while_the_template_is_ending_is_decoded_by_a_new_one(decoders: Decoders) -> None:
    """The kernel closes what a killed process had open before it says that the process has ended."""
    decoders.close()
    decoders.start()
    assert decoders._template is not None
    decoders._template._control.shutdown(socket.SHUT_RDWR)
    assert decoders._template.is_alive

    assert len(decoded(decoders, MP3)) > 0


WITHOUT_ROOM = """
import io, os, resource, sys
from transcriber.audio.decoders import Decoders
from transcriber.errors import Busy

decoders = Decoders(stall_s=60.0)
decoders.start()
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
before = os.listdir("/proc/self/fd")
try:
    with decoders.open(io.BytesIO(sys.stdin.buffer.read()), limit_s=60.0) as sound:
        print(sum(len(block) for block in sound.blocks))
except Busy:
    print("busy", len(os.listdir("/proc/self/fd")) - len(before))
decoders.close()
"""


def test_a_file_in_memory_that_there_is_no_room_to_copy_is_not_cut_short() -> None:
    """Then the kernel writes a part of what it is given, and only says so."""
    told = subprocess.run([sys.executable, "-c", WITHOUT_ROOM], cwd=ROOT, input=MP3, capture_output=True, check=True)

    assert told.stdout.split() == [b"busy", b"0"]


def test_without_a_template_nothing_can_be_decoded_but_everything_is_answered() -> None:
    broken = Decoders(stall_s=1.0, module="no.such.module")

    with pytest.raises(Busy):
        decoded(broken, MP3)
    broken.close()


def test_nothing_is_left_when_they_are_closed_even_where_nobody_buries_orphans() -> None:
    made = Decoders(stall_s=60.0)
    with inheriting_orphans(), ExitStack() as at_work:
        decoded(made, MP3)
        for _ in range(4):
            at_work.enter_context(made.open(io.BytesIO(MP3), limit_s=60.0))
        assert made._template is not None
        template = made._template._process.pid
        children = decoder_pids(template)
        assert len(children) == 4
        made.close()

        assert not made._idle
        assert not [pid for pid in (template, *children) if Path(f"/proc/{pid}").exists()]


@contextmanager
def inheriting_orphans() -> Iterator[None]:
    """Make this process what the first one of a container is: orphans are its own, and it buries none."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def decoder_pids(template: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{template}/task/{template}/children").read_text("ascii").split()]


def wait_for_end_of(*pids: int) -> None:
    """Wait until they have ended; whether they are buried is up to the first process of this machine."""
    wait_until(lambda: not any(identity_of(pid) for pid in pids), "the end of the decoders")
