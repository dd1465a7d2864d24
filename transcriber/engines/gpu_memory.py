"""What a CUDA device has of memory, and how its driver keeps it: asked of the driver itself."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from transcriber.engines.cuda import Load, load_globally, succeed
from transcriber.errors import ModelUnavailable

log = logging.getLogger(__name__)

# Numbers of CUmemPool_attribute in cuda.h.
RELEASE_THRESHOLD = 4
USED_MEM_CURRENT = 7
USED_MEM_HIGH = 8

EVERYTHING = 2**64 - 1


class GpuMemory:
    """The memory of one device. Every method raises ModelUnavailable when the driver refuses."""

    def __init__(self, index: int, *, load: Load = load_globally) -> None:
        """Open the device; `cuda.prepare` has found the driver and the device in order."""
        self._cuda = load("libcuda.so.1")
        self._device = ctypes.c_int()
        self._call("open a device", self._cuda.cuDeviceGet(ctypes.pointer(self._device), index))

    def total_bytes(self) -> int:
        """Return how much memory the device has."""
        total = ctypes.c_size_t()
        self._call("tell its memory", self._cuda.cuDeviceTotalMem_v2(ctypes.pointer(total), self._device))
        return total.value

    def free_bytes(self) -> int:
        """Return how much of it nobody has taken."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        with self._context():
            asked = self._cuda.cuMemGetInfo_v2(ctypes.pointer(free), ctypes.pointer(total))
            self._call("tell its free memory", asked)
        return free.value

    def keep_freed(self) -> None:
        """Let the pool keep what is freed.

        CTranslate2 takes its memory with cudaMallocAsync, and by default the driver gives everything that is free back
        to the system whenever a stream is waited for: at the end of each batch.
        """
        self._set(RELEASE_THRESHOLD, EVERYTHING)

    def forget_peak(self) -> None:
        """Begin to measure the peak anew."""
        self._set(USED_MEM_HIGH, 0)

    def peak_bytes(self) -> int:
        """Return the most that was in use at once since `forget_peak`."""
        return self._get(USED_MEM_HIGH)

    def used_bytes(self) -> int:
        """Return what is in use."""
        return self._get(USED_MEM_CURRENT)

    @contextmanager
    def _context(self) -> Iterator[None]:
        """Make the device's primary context, in which CTranslate2 works, the calling thread's for a while."""
        context = ctypes.c_void_p()
        retained = self._cuda.cuDevicePrimaryCtxRetain(ctypes.pointer(context), self._device)
        self._call("open a context", retained)
        try:
            self._call("enter a context", self._cuda.cuCtxPushCurrent_v2(context))
            try:
                yield
            finally:
                self._cuda.cuCtxPopCurrent_v2(ctypes.pointer(ctypes.c_void_p()))
        finally:
            self._cuda.cuDevicePrimaryCtxRelease_v2(self._device)

    def _pool(self) -> ctypes.c_void_p:
        pool = ctypes.c_void_p()
        self._call("show its pool", self._cuda.cuDeviceGetDefaultMemPool(ctypes.pointer(pool), self._device))
        return pool

    def _set(self, attribute: int, value: int) -> None:
        number = ctypes.c_uint64(value)
        self._call("set its pool", self._cuda.cuMemPoolSetAttribute(self._pool(), attribute, ctypes.pointer(number)))

    def _get(self, attribute: int) -> int:
        number = ctypes.c_uint64()
        asked = self._cuda.cuMemPoolGetAttribute(self._pool(), attribute, ctypes.pointer(number))
        self._call("measure its pool", asked)
        return number.value

    def _call(self, aim: str, code: int) -> None:
        succeed(self._cuda, code, aim)


class PeakMemory:
    """Measures what work takes of one or several devices; a driver that refuses measures 0 and says why in the log."""

    def __init__(self, memories: Sequence[GpuMemory]) -> None:
        """Store the devices."""
        self._memories = memories
        self._before: list[int] = []

    def begin(self) -> None:
        """Begin to measure."""
        try:
            for memory in self._memories:
                memory.forget_peak()
            self._before = [memory.used_bytes() for memory in self._memories]
        except ModelUnavailable as refusal:
            self._before = []
            log.warning("memory not measured", extra={"reason": refusal.message})

    def bytes_since(self) -> int:
        """Return the most that was taken above what was in use at `begin`, on the device that took most."""
        if not self._before:
            return 0
        return max(memory.peak_bytes() - before for memory, before in zip(self._memories, self._before, strict=True))


def keep_freed(memories: Sequence[GpuMemory]) -> None:
    """Let every device's pool keep what is freed; a driver that refuses costs speed and nothing else."""
    for memory in memories:
        try:
            memory.keep_freed()
        except ModelUnavailable as refusal:
            log.warning("memory pool stays as it is", extra={"reason": refusal.message})
