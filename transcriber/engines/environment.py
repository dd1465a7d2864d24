"""What must stand in the environment of a process that runs models before it starts: its libraries read it once."""

from __future__ import annotations

import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")

ARENAS_PER_CORE = 2
"""Heaps that threads share out among themselves. In one, the workers and those who decode wait for each other; more
than these make nothing faster, and each keeps what it once took. docs/decisions/0012 has the figures."""

AVX512 = frozenset({"avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl"})
"""What CTranslate2 4.8 is compiled for under the name of AVX512; it refuses to run where one is missing."""


def allocator(cores: int) -> str:
    """Return glibc's settings for memory that, once taken, is kept, in huge pages.

    Page faults cost a third to half of the encoder's time on a CPU (docs/images.md). A thread that keeps fewer freed
    pieces of each size for itself than glibc's seven leaves more of the caches to the model (docs/decisions/0015).
    """
    return ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in {
            "arena_max": ARENAS_PER_CORE * cores,
            "mmap_max": 0,
            "trim_threshold": 1 << 34,
            "top_pad": 1 << 28,
            "hugetlb": 1,
            "tcache_count": 2,
        }.items()
    )


def variables(device: str, cpu_info: Path = CPU_INFO) -> dict[str, str]:
    """Return the variables for `cpu` or `cuda`; `auto` gets those of `cpu`, which may be what it comes to.

    CTranslate2 never takes AVX512 unless it is told to, since early processors lowered their clock for it; but its
    products of matrices, which are MKL's, take it anyway. docs/decisions/0011 has what it gains.
    """
    always = {"OPENBLAS_NUM_THREADS": "1"}  # requests are what runs side by side, not matrix products
    if device == "cuda":
        return always
    wide = {"CT2_FORCE_CPU_ISA": "AVX512"} if _flags(cpu_info) >= AVX512 else {}
    return always | {"GLIBC_TUNABLES": allocator(len(os.sched_getaffinity(0)))} | wide


def _flags(cpu_info: Path) -> set[str]:
    try:
        text = cpu_info.read_text("utf-8")
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in text.splitlines() if line.startswith("flags")), set())
