from __future__ import annotations

import ctypes
import logging
from dataclasses import dataclass, field

import pytest

from transcriber.engines.gpu_memory import (
    EVERYTHING,
    RELEASE_THRESHOLD,
    USED_MEM_CURRENT,
    USED_MEM_HIGH,
    GpuMemory,
    PeakMemory,
    keep_freed,
)
from transcriber.errors import ModelUnavailable

GB = 10**9
NOT_SUPPORTED = 801

Address = "ctypes._Pointer[ctypes.c_void_p]"
Size = "ctypes._Pointer[ctypes.c_size_t]"
Count = "ctypes._Pointer[ctypes.c_uint64]"


@dataclass
class FakeDriver:
    """libcuda.so.1, as far as its memory is asked for: two devices with a pool and a context each."""

    has_pools: bool = True
    has_memory: bool = True
    pools: dict[int, dict[int, int]] = field(
        default_factory=lambda: {11: {USED_MEM_CURRENT: 3 * GB}, 10: {USED_MEM_CURRENT: 2 * GB}}
    )
    entered: list[int] = field(default_factory=list)
    retained: list[int] = field(default_factory=list)
    asked_free: list[int] = field(default_factory=list)

    def cuDeviceGet(self, device: ctypes._Pointer[ctypes.c_int], index: int) -> int:  # noqa: N802 - NVIDIA's names
        device.contents.value = index
        return 0

    def cuDeviceTotalMem_v2(self, total: Size, device: ctypes.c_int) -> int:  # noqa: N802
        total.contents.value = (24 + device.value) * GB
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Address, device: ctypes.c_int) -> int:  # noqa: N802
        context.contents.value = 100 + device.value
        self.retained.append(device.value)
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: ctypes.c_int) -> int:  # noqa: N802
        self.retained.remove(device.value)
        return 0

    def cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> int:  # noqa: N802
        assert context.value is not None
        self.entered.append(context.value)
        return 0

    def cuCtxPopCurrent_v2(self, context: Address) -> int:  # noqa: N802
        context.contents.value = self.entered.pop()
        return 0

    def cuMemGetInfo_v2(self, free: Size, total: Size) -> int:  # noqa: N802
        if not self.has_memory:
            return NOT_SUPPORTED
        self.asked_free.append(self.entered[-1])
        free.contents.value, total.contents.value = 20 * GB, 24 * GB
        return 0

    def cuDeviceGetDefaultMemPool(self, pool: Address, device: ctypes.c_int) -> int:  # noqa: N802
        pool.contents.value = 10 + device.value
        return 0 if self.has_pools else NOT_SUPPORTED

    def cuMemPoolSetAttribute(self, pool: ctypes.c_void_p, attribute: int, value: Count) -> int:  # noqa: N802
        assert pool.value is not None
        used = self.pools[pool.value]
        if attribute == USED_MEM_HIGH:
            assert value.contents.value == 0, "the driver takes nothing else"
        used[attribute] = used[USED_MEM_CURRENT] if attribute == USED_MEM_HIGH else value.contents.value
        return 0

    def cuMemPoolGetAttribute(self, pool: ctypes.c_void_p, attribute: int, value: Count) -> int:  # noqa: N802
        assert pool.value is not None
        value.contents.value = self.pools[pool.value][attribute]
        return 0

    def cuGetErrorName(self, _code: int, name: ctypes._Pointer[ctypes.c_char_p]) -> int:  # noqa: N802
        name.contents.value = b"CUDA_ERROR_NOT_SUPPORTED"
        return 0


def memory(driver: FakeDriver, index: int = 0) -> GpuMemory:
    return GpuMemory(index, load=lambda name: {"libcuda.so.1": driver}[name])


def test_the_pool_of_each_device_keeps_what_is_freed() -> None:
    driver = FakeDriver()
    keep_freed([memory(driver, 0), memory(driver, 1)])

    assert [pool[RELEASE_THRESHOLD] for pool in driver.pools.values()] == [EVERYTHING, EVERYTHING]


def test_a_driver_without_pools_is_told_once_and_serves(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        keep_freed([memory(FakeDriver(has_pools=False))])

    assert [record.message for record in caplog.records] == ["memory pool stays as it is"]
    assert "CUDA_ERROR_NOT_SUPPORTED" in vars(caplog.records[0])["reason"]


def test_memory_is_asked_for_in_the_devices_own_context_which_is_given_back() -> None:
    driver = FakeDriver()

    assert (memory(driver, 1).free_bytes(), memory(driver, 1).total_bytes()) == (20 * GB, 25 * GB)
    assert driver.asked_free == [101]
    assert (driver.entered, driver.retained) == ([], [])


def test_the_context_is_given_back_although_the_driver_refuses() -> None:
    driver = FakeDriver(has_memory=False)

    with pytest.raises(ModelUnavailable, match="cannot tell its free memory: CUDA_ERROR_NOT_SUPPORTED"):
        memory(driver).free_bytes()
    assert (driver.entered, driver.retained) == ([], [])


def test_the_peak_is_what_was_taken_above_what_was_there() -> None:
    driver = FakeDriver()
    peak = PeakMemory([memory(driver, 0), memory(driver, 1)])
    peak.begin()
    driver.pools[10][USED_MEM_HIGH] = 5 * GB
    driver.pools[11][USED_MEM_HIGH] = 4 * GB

    assert peak.bytes_since() == 3 * GB


def test_a_peak_that_cannot_be_measured_is_nothing(caplog: pytest.LogCaptureFixture) -> None:
    peak = PeakMemory([memory(FakeDriver(has_pools=False))])
    peak.begin()

    assert peak.bytes_since() == 0
    assert {record.message for record in caplog.records} == {"memory not measured"}
