"""How much memory a large upload takes."""

from __future__ import annotations

import io
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from fleet.load.record import Upload
from fleet.load.sides import Side
from transcriber.audio.waveform import RATE_HZ


def upload_growth(side: Side, upload_mib: int) -> Upload:
    """Send a large WAV of silence in blocks and see how much the peak of the worker's memory grows."""
    size_bytes = upload_mib * 1024 * 1024
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        sound.writeframes(b"")
    head = bytearray(file.getvalue())
    head[4:8] = (36 + size_bytes).to_bytes(4, "little")
    head[40:44] = size_bytes.to_bytes(4, "little")
    block = bytes(1024 * 1024)

    def body() -> Iterator[bytes]:
        yield bytes(head)
        for _ in tqdm(range(upload_mib), desc=f"upload of {upload_mib} MiB", unit="MiB"):
            yield block

    side.thaw()
    worker = side.worker_pid()
    Path(f"/proc/{worker}/clear_refs").write_text("5", "ascii")  # sets the peak back to what is resident now
    before_mib = memory_mib(worker, "VmRSS")
    request = urllib.request.Request(f"{side.url}/invocations", data=body(), headers={"Content-Type": "audio/wav"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        answer.read()
    grown_mib = memory_mib(worker, "VmHWM") - before_mib
    return Upload(upload_mib=upload_mib, grown_mib=grown_mib)


def memory_mib(pid: int, name: str) -> float:
    """Read one line of a process's status."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(name)
