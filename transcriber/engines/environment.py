"""What must stand in the environment of a process that runs models before it starts: its libraries read it once."""

from __future__ import annotations

from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")

ALLOCATOR = (
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184:"
    "glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1"
)
"""Page faults cost a third to half of the encoder's time on a CPU. With these settings memory, once taken, is kept."""

AVX512 = frozenset({"avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl"})
"""What CTranslate2 4.8 is compiled for under the name of AVX512; it refuses to run where one is missing."""


def variables(device: str, cpu_info: Path = CPU_INFO) -> dict[str, str]:
    """Return the variables for `cpu` or `cuda`; `auto` gets those of `cpu`, which may be what it comes to.

    CTranslate2 never takes AVX512 unless it is told to, since early processors lowered their clock for it; but its
    products of matrices, which are MKL's, take it anyway. docs/decisions/0011 has what it gains.
    """
    always = {"OPENBLAS_NUM_THREADS": "1"}  # requests are what runs side by side, not matrix products
    if device == "cuda":
        return always
    wide = {"CT2_FORCE_CPU_ISA": "AVX512"} if _flags(cpu_info) >= AVX512 else {}
    return always | {"GLIBC_TUNABLES": ALLOCATOR} | wide


def _flags(cpu_info: Path) -> set[str]:
    try:
        text = cpu_info.read_text("utf-8")
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in text.splitlines() if line.startswith("flags")), set())
