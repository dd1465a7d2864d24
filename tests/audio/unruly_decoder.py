"""A decoder process that does to itself what the file says."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from transcriber.audio.decode import Sound, open_sound
from transcriber.audio.decoder_process import main
from transcriber.audio.waveform import Pcm


@contextmanager
def unruly(file: BinaryIO, *, limit_s: float) -> Iterator[Sound]:
    file.seek(0)
    wish = file.read(16)
    file.seek(0)
    if wish.startswith(b"late "):
        yield Sound(stated_s=None, blocks=_then(wish.removeprefix(b"late ")))
        return
    if not do(wish):
        with open_sound(file, limit_s=limit_s) as sound:
            yield sound


def _then(wish: bytes) -> Iterator[Pcm]:
    yield np.zeros(16_000, np.int16)
    do(wish)


def do(wish: bytes) -> bool:  # noqa: C901, PLR0912 - a table
    match wish:
        case b"crash":
            ctypes.string_at(0)
        case b"abort":
            os.abort()
        case b"wait":
            signal.pause()
        case b"nap":
            time.sleep(1.5 * float(sys.argv[2]))  # as if it got no core for so long
        case b"spin":
            while True:
                pass
        case b"eat":
            np.ones(3 * 1024**3 // 8)
        case b"slip":
            raise KeyError("a slip of ours")
        case b"write":
            Path("/tmp/decoder-wrote").write_bytes(b"x" * 10)  # noqa: S108 - it must not come so far
        case b"look":
            raise KeyError(f"{os.geteuid()} {sorted(os.environ)}")
        case b"be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"kill":
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()
        case _:
            return False
    return True


if __name__ == "__main__":
    main(unruly)
