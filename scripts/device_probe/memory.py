"""How much memory a call takes at its peak, on a GPU and on a CPU."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Protocol

MEBIBYTE = 1024 * 1024

RELEASE_THRESHOLD = 4  # CU_MEMPOOL_ATTR_RELEASE_THRESHOLD in cuda.h
USED_MEM_HIGH = 8  # CU_MEMPOOL_ATTR_USED_MEM_HIGH


class Meter(Protocol):
    """Knows the most memory that was in use at once."""

    def reset(self) -> None:
        """Forget what was used before."""
        ...

    def peak_mib(self) -> float:
        """Return the most since `reset`."""
        ...


class Pool:
    """The default memory pool of GPU 0, from which CTranslate2 takes all its memory."""

    def __init__(self) -> None:
        """Ask the driver for it; CTranslate2 need not have begun."""
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._pool = ctypes.c_void_p()
        device = ctypes.c_int()
        self._succeed(self._cuda.cuInit(0))
        self._succeed(self._cuda.cuDeviceGet(ctypes.byref(device), 0))
        self._succeed(self._cuda.cuDeviceGetDefaultMemPool(ctypes.byref(self._pool), device))

    def keep(self) -> None:
        """Give nothing back to the driver; by default a pool gives back what is free whenever a stream waits."""
        self._set(RELEASE_THRESHOLD, 2**64 - 1)

    def reset(self) -> None:
        """Forget what was used before."""
        self._set(USED_MEM_HIGH, 0)  # the driver takes no other number

    def peak_mib(self) -> float:
        """Return the most since `reset`."""
        value = ctypes.c_uint64()
        self._succeed(self._cuda.cuMemPoolGetAttribute(self._pool, USED_MEM_HIGH, ctypes.byref(value)))
        return value.value / MEBIBYTE

    def _set(self, attribute: int, number: int) -> None:
        value = ctypes.c_uint64(number)
        self._succeed(self._cuda.cuMemPoolSetAttribute(self._pool, attribute, ctypes.byref(value)))

    @staticmethod
    def _succeed(code: int) -> None:
        if code:
            raise RuntimeError(f"the NVIDIA driver refuses with error {code}")


class ProcessMemory:
    """What of this process is in memory; an allocator that keeps memory hides what a call takes."""

    def reset(self) -> None:
        """Forget what was used before."""
        Path("/proc/self/clear_refs").write_text("5", "ascii")

    def peak_mib(self) -> float:
        """Return the most since `reset`."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
        if found is None:
            raise RuntimeError("this kernel does not tell a process its peak of memory")
        return int(found[1]) / 1024


def meter_of(device: str) -> Meter:
    """Return what measures the device's memory."""
    return Pool() if device == "cuda" else ProcessMemory()


def cuda_version() -> str:
    """Return the newest CUDA that the driver runs, such as 12.8."""
    version = ctypes.c_int()
    ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    return f"{version.value // 1000}.{version.value % 1000 // 10}"
