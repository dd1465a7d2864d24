"""The process that decodes for the server: what a file breaks here, it breaks alone.

`python -m transcriber.audio.decoder_process FD STALL_S` is the template: it has everything imported and does nothing
but fork. Each decoder that it forks takes one file after the other over a socket of its own and sends back what came of
it in frames: a kind, a length, that many bytes. `decoders` is the other end.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import BinaryIO

from transcriber.audio.decode import Sound, open_sound
from transcriber.errors import NotAudio, RequestError, TranscriberError

HEADER = struct.Struct("<cI")
"""What each frame begins with: its kind, and the length of what follows in bytes."""

NUMBER = struct.Struct("<d")

BEGUN = b"F"
"""The file has arrived; what goes wrong from here on is the file's fault. In the place of a length stands the number of
the decoder's process."""

STATED = b"S"
"""`Sound.stated_s`, NaN for None; follows when the file is open."""

BLOCK = b"B"
"""One block of samples."""

REFUSED = b"E"
"""Slug, newline, message of the refusal; the last frame of the file."""

DONE = b"Z"
"""The last frame of a file that was decoded to its end."""

MEMORY_BYTES = 1024 * 1024 * 1024
"""What a decoder may allocate in all. A long film takes some tens of megabytes; what FFmpeg asks for at once is bounded
by `decode.LARGEST_ALLOCATION_BYTES`."""

STARVED = 5
"""How many times longer than it may work a decoder may take by the clock: a machine that does much else gives it a core
only now and then, which is not the file's fault."""

FORK = b"\0"
"""Asks the template for a decoder, with the decoder's socket. Any other message is the number of a decoder's process
and asks for its `ENDING`."""

PROCESS = struct.Struct("<I")

ENDING = struct.Struct("<i")
"""The signal that ended a process; 0 for one that ended by itself, lives on, or is not known."""

REMEMBERED = 256
"""Endings that nobody asks for are forgotten when there are more: most decoders end because they are not needed."""

BURIED_WITHIN_S = 1.0
"""How long after its socket a process may end."""

NOBODY = 65_534
"""The user and group of whoever owns nothing."""

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h

Open = Callable[..., AbstractContextManager[Sound]]


def main(open_file: Open = open_sound) -> None:
    """Fork a decoder for each socket that comes, until the server has gone.

    Args:
        open_file: What opens a file; another one only in tests.
    """
    control = socket.socket(fileno=int(sys.argv[1]))
    stall_s = float(sys.argv[2])
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # meant for the server; it closes the socket when it is done
    children = _Children()
    _give_up_rights()
    gc.collect()
    gc.freeze()  # pages that no collection touches stay shared with the decoders
    own = os.getpid()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, PROCESS.size, 1)
        if not message:
            children.end()
            return
        if message != FORK:
            control.send(ENDING.pack(children.ending_of(*PROCESS.unpack(message))))
            continue
        pid = -1
        with suppress(OSError):  # no room for a process: the server sees its socket closed
            pid = children.fork()
        if pid == 0:
            try:
                control.close()
                _follow_into_death(own)
                serve(socket.socket(fileno=descriptors[0]), stall_s=stall_s, open_file=open_file)
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


class _Children:
    """The decoders: forked, buried, and what they died of."""

    def __init__(self) -> None:
        self._living: set[int] = set()
        self._signals: dict[int, int] = {}
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self._bury())

    def fork(self) -> int:
        """Fork; as `os.fork` does."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # nobody is buried who is not in the books
        try:
            pid = os.fork()
            if pid:
                self._living.add(pid)
            else:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        return pid

    def ending_of(self, process: int) -> int:
        """Return the signal that ended a process whose socket has just closed."""
        ends_s = time.monotonic() + BURIED_WITHIN_S
        while process not in self._signals and time.monotonic() < ends_s:
            time.sleep(0.001)  # it is on its way
        return self._signals.pop(process, 0)

    def end(self) -> None:
        """End all and bury them: whoever inherits them may bury nobody."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
        for process in self._living:
            os.kill(process, signal.SIGKILL)
        while self._living:
            process, _status = os.waitpid(-1, 0)
            self._living.discard(process)

    def _bury(self) -> None:
        with suppress(ChildProcessError):  # none is left
            while True:
                process, status = os.waitpid(-1, os.WNOHANG)
                if not process:
                    return
                self._living.discard(process)
                self._signals[process] = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                if len(self._signals) > REMEMBERED:
                    del self._signals[next(iter(self._signals))]


def serve(connection: socket.socket, *, stall_s: float, open_file: Open) -> None:
    """Decode one file after the other, until the server closes the connection.

    What works for longer than `stall_s` on the next block ends the process, and so does what is at it for `STARVED`
    times as long: the alarms need nobody who listens.
    """
    for alarm in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(alarm, signal.SIG_DFL)
    with suppress(OSError):  # the server has lost interest
        while True:
            message, descriptors, _flags, _address = socket.recv_fds(connection, NUMBER.size, 1)
            if not message:
                return
            (limit_s,) = NUMBER.unpack(message)
            connection.sendall(HEADER.pack(BEGUN, os.getpid()))
            _set_alarms(stall_s)
            with os.fdopen(descriptors[0], "rb") as file:
                _decode(file, connection, limit_s=limit_s, stall_s=stall_s, open_file=open_file)


def _decode(file: BinaryIO, connection: socket.socket, *, limit_s: float, stall_s: float, open_file: Open) -> None:
    try:
        with open_file(file, limit_s=limit_s) as sound:
            _send(connection, STATED, NUMBER.pack(math.nan if sound.stated_s is None else sound.stated_s))
            for block in sound.blocks:
                _set_alarms(0)  # the server may take its time
                _send(connection, BLOCK, block.data.cast("B"))
                _set_alarms(stall_s)
    except RequestError as error:
        _refuse(connection, error.slug, error.message)
    except MemoryError:
        _refuse(connection, NotAudio.slug, "the file takes more memory to decode than any recording does")
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - this process's own door: the server logs it
        _refuse(connection, TranscriberError.slug, traceback.format_exc())
    else:
        _set_alarms(0)
        _send(connection, DONE)


def _refuse(connection: socket.socket, slug: str, message: str) -> None:
    _set_alarms(0)
    _send(connection, REFUSED, f"{slug}\n{message}".encode())


def _set_alarms(stall_s: float) -> None:
    """Let a time begin; 0 lets none run."""
    signal.setitimer(signal.ITIMER_PROF, stall_s)
    signal.setitimer(signal.ITIMER_REAL, STARVED * stall_s)


def _send(connection: socket.socket, kind: bytes, content: bytes | memoryview = b"") -> None:
    connection.sendall(HEADER.pack(kind, len(content)))
    connection.sendall(content)


def _give_up_rights() -> None:
    """Keep nothing that a file which takes the process over could use: no rights, no files, no end of memory."""
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, value in (
        (resource.RLIMIT_DATA, MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        with suppress(OSError, ValueError):  # less is allowed already
            resource.setrlimit(limit, (value, value))
    with suppress(OSError):  # not root, or root of a place where nobody else may be
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _follow_into_death(template: int) -> None:
    """End with the template, and so with the server, also in the middle of a file that never ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != template:
        os._exit(0)


if __name__ == "__main__":
    main()
