"""Decodes in processes of their own, so that a file which breaks a decoder breaks nothing else.

FFmpeg reads formats that nobody has audited for years, and a caller chooses the bytes. In the server's own process a
crash would take the model and everybody's requests with it. docs/decisions/0008 has the costs.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from transcriber.audio.decode import Sound, plain_sound
from transcriber.audio.decoder_process import (
    BEGUN,
    BLOCK,
    DONE,
    ENDING,
    FORK,
    HEADER,
    NUMBER,
    PROCESS,
    REFUSED,
    STARVED,
    STATED,
)
from transcriber.audio.riff import find_plain_pcm
from transcriber.audio.signatures import HEAD_BYTES, likeness_of
from transcriber.audio.waveform import Pcm
from transcriber.errors import Busy, NotAudio, TooLarge

log = logging.getLogger(__name__)

MODULE = "transcriber.audio.decoder_process"
HOME = Path(__file__).resolve().parents[2]

MOST_IDLE = 16
"""Decoders kept for the next file, at some 5 MB each. More at once are forked and end with their file."""

GRACE_S = 5.0
"""How much later than the decoder's own alarm the server gives up on it; only for one that the alarm cannot end."""

ALARMS = (signal.SIGPROF, signal.SIGALRM)
"""What ends a decoder that takes too long."""

ATTEMPTS = 3
"""How often a decoder is asked for before the machine is taken to have no room for one."""

RETRY_AFTER_S = 5
"""Seconds until a machine without room for another process is worth another try."""

REFUSALS = {error.slug: error for error in (NotAudio, TooLarge)}


class Decoders:
    """Decoder processes, made as they are needed and used again; for many threads at once."""

    def __init__(self, *, stall_s: float, module: str = MODULE) -> None:
        """Store the settings; processes are started by `start`, or by the first file.

        Args:
            stall_s: How long a decoder may work on the next block, in seconds of a core; `STARVED` times as long by the
                clock.
            module: What the template runs.
        """
        self._stall_s = stall_s
        self._module = module
        self._lock = threading.Lock()
        self._idle: deque[_Decoder] = deque()
        self._template: _Template | None = None

    def start(self) -> None:
        """Start the template, which takes a fifth of a second to import what it needs."""
        with self._lock:
            self._living_template()

    def close(self) -> None:
        """End all decoders, those at work too."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()
            template, self._template = self._template, None
        if template is not None:
            template.close()

    @contextmanager
    def open(self, file: BinaryIO, *, limit_s: float) -> Iterator[Sound]:
        """Lend the sound of a file, as `decode.open_sound` does; arguments and failures are its own.

        Files that need no decoder are read here.

        Raises:
            NotAudio: Also when the file crashes its decoder, or keeps it busy for `stall_s` without a sample.
            Busy: The machine has no room for another process.
        """
        if stretch := find_plain_pcm(file):
            yield plain_sound(file, stretch, limit_s=limit_s)
            return
        file.seek(0)
        likeness = str(likeness_of(file.read(HEAD_BYTES)))
        with _descriptor_of(file) as descriptor:
            decoder = self._set_to_work(descriptor, limit_s)
            try:
                stated_s = decoder.stated_s(likeness)
                yield Sound(stated_s=stated_s, blocks=decoder.blocks(likeness))
            finally:
                self._take_back(decoder)

    def _set_to_work(self, descriptor: int, limit_s: float) -> _Decoder:
        with self._lock:
            attempts = len(self._idle) + ATTEMPTS  # the idle ones may have been killed meanwhile
        for _ in range(attempts):
            decoder = self._free_one()
            if decoder is not None and decoder.begin(descriptor, limit_s):
                return decoder
        raise _no_room()

    def _free_one(self) -> _Decoder | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    template = self._living_template()
                    template.fork(theirs)
                except OSError as error:
                    log.warning("no decoder", extra={"error": repr(error)})
                    ours.close()
                    if isinstance(error, ConnectionError):  # it is ending, though the kernel may not say so yet
                        self._dismiss_template()
                    return None
        return _Decoder(ours, template, stall_s=self._stall_s)

    def _living_template(self) -> _Template:
        if self._template is None or not self._template.is_alive:
            self._dismiss_template()
            self._template = _Template(self._module, stall_s=self._stall_s)
        return self._template

    def _dismiss_template(self) -> None:
        if self._template is not None:
            self._template.close()
            log.warning("decoders ended", extra={"status": self._template.status})
            self._template = None

    def _take_back(self, decoder: _Decoder) -> None:
        """Keep a decoder that has done its work; one whose file was left, or was refused, ends."""
        with self._lock:
            if decoder.is_idle and self._template is not None and len(self._idle) < MOST_IDLE:
                self._idle.append(decoder)
                return
        decoder.close()


class _Template:
    """The process that forks decoders."""

    def __init__(self, module: str, *, stall_s: float) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(GRACE_S)
        self._asking = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, and nothing of a caller's
                [sys.executable, "-m", module, str(theirs.fileno()), str(stall_s)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=HOME,
                # Nothing of the server's: no credentials, no allocator that keeps what it took.
                env={"PYTHONPATH": str(HOME), "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        return self._process.returncode

    def ending_of(self, process: int) -> int | None:
        """Return the signal that ended a decoder, 0 for none; None when the template has ended too."""
        with self._asking:
            try:
                self._control.send(PROCESS.pack(process))
                told = self._control.recv(ENDING.size)
            except OSError:
                return None
        return ENDING.unpack(told)[0] if told else None

    def fork(self, connection: socket.socket) -> None:
        socket.send_fds(self._control, [FORK], [connection.fileno()])

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class _Decoder:
    """The server's end of one decoder."""

    def __init__(self, connection: socket.socket, template: _Template, *, stall_s: float) -> None:
        connection.settimeout(STARVED * stall_s + GRACE_S)
        self._connection = connection
        self._template = template
        self._stall_s = stall_s
        self._process = 0
        self.is_idle = False

    def begin(self, descriptor: int, limit_s: float) -> bool:
        """Hand over a file; False when the decoder does not live any more."""
        self.is_idle = False
        try:
            socket.send_fds(self._connection, [NUMBER.pack(limit_s)], [descriptor])
            kind, self._process = HEADER.unpack(self._receive(HEADER.size))
            if kind == BEGUN:
                return True
        except OSError:
            pass
        self.close()
        return False

    def stated_s(self, likeness: str) -> float | None:
        """Return what the file says of its length.

        Raises:
            NotAudio: It cannot be decoded.
            TooLarge: It is too long by what it says.
        """
        kind, content = self._frame(likeness)
        if kind != STATED:
            raise RuntimeError(f"a decoder began with {kind!r}")
        (stated_s,) = NUMBER.unpack(content)
        return None if math.isnan(stated_s) else stated_s

    def blocks(self, likeness: str) -> Iterator[Pcm]:
        """Yield the blocks; failures are those of `stated_s`."""
        while True:
            kind, content = self._frame(likeness)
            if kind == DONE:
                self.is_idle = True
                return
            if kind != BLOCK:
                raise RuntimeError(f"a decoder went on with {kind!r}")
            yield np.frombuffer(content, np.int16)

    def close(self) -> None:
        """Let go of it: it ends as soon as it notices."""
        self._connection.close()

    def _frame(self, likeness: str) -> tuple[bytes, bytearray]:
        """Return the next frame but a refusal, which is raised."""
        try:
            kind, size = HEADER.unpack(self._receive(HEADER.size))
            content = self._receive(size)
        except TimeoutError as error:
            raise self._lost(likeness, signal.SIGALRM) from error
        except OSError as error:
            raise self._lost(likeness, self._template.ending_of(self._process)) from error
        if kind != REFUSED:
            return kind, content
        slug, _, message = content.decode().partition("\n")
        if slug in REFUSALS:
            raise REFUSALS[slug](message)
        raise RuntimeError(f"a decoder failed: {message}")

    def _lost(self, likeness: str, ending: int | None) -> Busy | NotAudio:
        """Return the refusal for a file whose decoder was ended by a signal.

        Files break a decoder in many ways, but none of them is SIGKILL: that is the kernel's when memory is short, or
        somebody else's.
        """
        log.warning("decoder lost", extra={"file": likeness, "signal": ending})
        if ending in (None, signal.SIGKILL):
            return _no_room()
        if ending in ALARMS:
            return NotAudio(
                f"the file {likeness}, and its decoder made nothing of it for {self._stall_s:,.10g} seconds; it is "
                "damaged, or made to do that"
            )
        return NotAudio(f"the file {likeness}, and it breaks its decoder; encode the sound again")

    def _receive(self, size: int) -> bytearray:
        content = bytearray(size)
        view = memoryview(content)
        while view:
            received = self._connection.recv_into(view)
            if not received:
                raise ConnectionResetError("the decoder has ended")
            view = view[received:]
        return content


def _no_room() -> Busy:
    return Busy("the container has no decoder for this audio now; try again later", retry_after_s=RETRY_AFTER_S)


@contextmanager
def _descriptor_of(file: BinaryIO) -> Iterator[int]:
    """Lend a descriptor of what may have none: bytes in memory go to a file in memory."""
    try:
        descriptor = file.fileno()
    except OSError:
        with _copy_in_memory(file) as copy:
            yield copy.fileno()
        return
    with suppress(OSError):
        file.flush()
    yield descriptor


def _copy_in_memory(file: BinaryIO) -> BinaryIO:
    copy = os.fdopen(os.memfd_create("audio"), "wb")
    try:
        file.seek(0)
        shutil.copyfileobj(file, copy)
        copy.flush()
    except OSError as error:
        with suppress(OSError):  # it complains once more about what could not be written, and is closed
            copy.close()
        raise _no_room() from error
    return copy
