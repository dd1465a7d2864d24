"""Where something was measured, and with which libraries."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """Name the processor, the number of cores that we may use, and the GPU."""
    processor = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    named = [processor, f"{len(os.sched_getaffinity(0))} cores", platform.system()]
    if shutil.which("nvidia-smi"):
        asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        answered = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        named += [line.strip() for line in answered.stdout.splitlines() if line.strip()]
    return ", ".join(named)


def versions(libraries: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the versions of libraries, of those that are installed."""
    for name in libraries:
        with suppress(PackageNotFoundError):
            yield name, version(name)
