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

CPU_INFO = Path("/proc/cpuinfo")

VECTORS = {"avx512_vnni": "AVX-512 with VNNI", "avx512f": "AVX-512", "avx_vnni": "AVX2 with VNNI", "avx2": "AVX2"}
"""How the kernel calls what products of matrices are made with, the widest first: figures hang on it more than on the
processor's name."""


def machine(cpu_info: Path = CPU_INFO) -> str:
    """Name the processor, its vectors, the number of cores that we may use, and the GPU."""
    told: dict[str, str] = {}
    with suppress(OSError):
        for line in cpu_info.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), value.strip())
    flags = told.get("flags", "").split()
    vectors = next((words for flag, words in VECTORS.items() if flag in flags), None)
    named = [told.get("model name", platform.machine()), *([vectors] if vectors else [])]
    named += [f"{len(os.sched_getaffinity(0))} cores", platform.system()]
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
