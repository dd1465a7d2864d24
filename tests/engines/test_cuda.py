from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from transcriber.engines import cuda
from transcriber.errors import ModelUnavailable

KERNEL_535 = """\
NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024
GCC version:  gcc version 7.3.1 20180712 (Red Hat 7.3.1-17) (GCC)
"""
KERNEL_570_OPEN = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)
GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)
"""

Number = "ctypes._Pointer[ctypes.c_int]"
Address = "ctypes._Pointer[ctypes.c_char_p]"
Text = "ctypes.Array[ctypes.c_char]"


@dataclass
class FakeDriver:
    """libcuda.so.1, as far as the check asks it."""

    version: int = 12_020
    devices: tuple[tuple[str, int], ...] = (("NVIDIA L4", 8),)
    init_code: int = 0

    def cuDriverGetVersion(self, version: Number) -> int:  # noqa: N802 - NVIDIA's names
        version.contents.value = self.version
        return 0

    def cuInit(self, _flags: int) -> int:  # noqa: N802
        return self.init_code

    def cuDeviceGetCount(self, count: Number) -> int:  # noqa: N802
        count.contents.value = len(self.devices)
        return 0

    def cuDeviceGet(self, device: Number, index: int) -> int:  # noqa: N802
        device.contents.value = index
        return 0

    def cuDeviceGetAttribute(self, value: Number, attribute: int, device: ctypes.c_int) -> int:  # noqa: N802
        assert attribute == cuda.COMPUTE_CAPABILITY_MAJOR
        value.contents.value = self.devices[device.value][1]
        return 0

    def cuDeviceGetName(self, name: Text, _size: int, device: ctypes.c_int) -> int:  # noqa: N802
        name.value = self.devices[device.value][0].encode()
        return 0

    def cuGetErrorName(self, code: int, name: Address) -> int:  # noqa: N802
        name.contents.value = {802: b"CUDA_ERROR_SYSTEM_NOT_READY"}.get(code)
        return 0


@dataclass
class FakeLoader:
    """Opens the libraries it holds, by path or soname, and remembers what was asked for."""

    libraries: dict[str, object]
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> object:
        self.asked.append(name)
        try:
            return self.libraries[name]
        except KeyError:
            raise OSError(f"{name}: cannot open shared object file") from None


def refusal(
    driver: FakeDriver | None, *, device_indices: Sequence[int] = (0,), told: str | None = KERNEL_535, folder: Path
) -> str:
    """Return the message of the check, empty when the device may be used."""
    driver_file = folder / "version"
    if told is not None:
        driver_file.write_text(told)
    load = FakeLoader({} if driver is None else {"libcuda.so.1": driver})
    try:
        cuda.check_driver(device_indices, load=load, driver_file=driver_file)
    except ModelUnavailable as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("gpu", "generation", "version", "expected_driver", "expected_image"),
    [
        ("Tesla T4", 7, 11_040, "525", "al2-ami-sagemaker-inference-gpu-3-1"),
        ("NVIDIA A10G", 8, 11_080, "525", "al2-ami-sagemaker-inference-gpu-3-1"),
        ("NVIDIA H100 80GB HBM3", 9, 11_040, "525", "al2-ami-sagemaker-inference-gpu-3-1"),
        ("NVIDIA H100 80GB HBM3", 9, 12_020, "570", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("NVIDIA H200", 9, 12_040, "570", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 12, 12_060, "570", "al2023-ami-sagemaker-inference-gpu-4-1"),
    ],
)
def test_driver_that_is_too_old_is_refused_with_the_driver_and_the_image_to_choose(
    gpu: str, generation: int, version: int, expected_driver: str, expected_image: str, tmp_path: Path
) -> None:
    message = refusal(FakeDriver(version=version, devices=((gpu, generation),)), folder=tmp_path)

    assert "too old" in message
    assert f"driver {expected_driver} or newer" in message
    assert expected_image in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("gpu", "generation", "version"),
    [
        ("Tesla T4", 7, 12_000),
        ("NVIDIA A10G", 8, 12_020),
        ("NVIDIA L40S", 8, 12_040),
        ("NVIDIA H200", 9, 12_080),
        ("NVIDIA H200", 9, 13_000),
    ],
)
def test_driver_that_is_new_enough_is_accepted(gpu: str, generation: int, version: int, tmp_path: Path) -> None:
    assert refusal(FakeDriver(version=version, devices=((gpu, generation),)), folder=tmp_path) == ""


def test_pytorch_wants_a_newer_driver_on_every_gpu(tmp_path: Path) -> None:
    def check(version: int) -> None:
        load = FakeLoader({"libcuda.so.1": FakeDriver(version=version, devices=(("NVIDIA L4", 8),))})
        cuda.check_driver([0], load=load, driver_file=tmp_path / "version", oldest=cuda.OLDEST_CUDA_FOR_TORCH)

    with pytest.raises(ModelUnavailable, match=r"too old: .* driver 580 or newer; .* al2023-ami-sagemaker-.*-gpu-4-1"):
        check(12_090)
    check(13_000)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (KERNEL_535, "NVIDIA driver 535.183.01 (CUDA 11.4)"),
        (KERNEL_570_OPEN, "NVIDIA driver 570.86.15 (CUDA 11.4)"),
        ("nothing that looks like a number", "NVIDIA driver of unknown number (CUDA 11.4)"),
        (None, "NVIDIA driver of unknown number (CUDA 11.4)"),
    ],
)
def test_refusal_names_the_driver_that_is_there(told: str | None, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(FakeDriver(version=11_040), told=told, folder=tmp_path)


def test_absent_driver_is_refused_with_what_to_do(tmp_path: Path) -> None:
    message = refusal(None, folder=tmp_path)

    assert "no NVIDIA driver" in message
    assert "--gpus all" in message


@pytest.mark.parametrize(("device_index", "accepted"), [(0, True), (1, True), (2, False), (-1, False)])
def test_device_index_must_name_a_device_that_is_there(device_index: int, accepted: bool, tmp_path: Path) -> None:
    driver = FakeDriver(devices=(("NVIDIA L4", 8), ("NVIDIA L4", 8)))

    message = refusal(driver, device_indices=[device_index], folder=tmp_path)

    assert (message == "") == accepted
    assert accepted or f"names GPU {device_index}" in message


def test_each_device_is_judged_by_its_own_generation(tmp_path: Path) -> None:
    driver = FakeDriver(devices=(("NVIDIA L4", 8), ("NVIDIA H100 PCIe", 9)))

    assert refusal(driver, device_indices=[0], folder=tmp_path) == ""
    assert "NVIDIA H100 PCIe" in refusal(driver, device_indices=[0, 1], folder=tmp_path)


def test_driver_without_a_device_is_refused_like_a_wrong_index(tmp_path: Path) -> None:
    message = refusal(FakeDriver(devices=(), init_code=cuda.NO_DEVICE), folder=tmp_path)

    assert "shows 0 of them" in message


@pytest.mark.parametrize(("code", "expected"), [(802, "CUDA_ERROR_SYSTEM_NOT_READY"), (4711, "error 4711")])
def test_driver_that_does_not_start_is_refused_with_its_reason(code: int, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(FakeDriver(init_code=code), folder=tmp_path)


def test_cublas_of_the_wheel_goes_before_the_one_of_the_system(tmp_path: Path) -> None:
    wheel = str(tmp_path / "nvidia/cublas/lib/libcublas.so.12")
    load = FakeLoader({wheel: object(), "libcublas.so.12": object()})

    cuda.preload_cublas(load=load, packages=tmp_path)

    assert load.asked == [wheel]


def test_cublas_of_the_system_serves_when_there_is_no_wheel(tmp_path: Path) -> None:
    load = FakeLoader({"libcublas.so.12": object()})

    cuda.preload_cublas(load=load, packages=tmp_path)

    assert load.asked[-1] == "libcublas.so.12"


def test_absent_cublas_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"requirements-gpu\.txt"):
        cuda.preload_cublas(load=FakeLoader({}), packages=tmp_path)


def test_preparation_checks_the_driver_before_it_loads_cublas(tmp_path: Path) -> None:
    load = FakeLoader({"libcuda.so.1": FakeDriver(version=11_040), "libcublas.so.12": object()})

    with pytest.raises(ModelUnavailable, match="too old"):
        cuda.prepare([0], load=load, driver_file=tmp_path / "version", packages=tmp_path)

    assert load.asked == ["libcuda.so.1"]


def test_preparation_leaves_cublas_loaded(tmp_path: Path) -> None:
    load = FakeLoader({"libcuda.so.1": FakeDriver(), "libcublas.so.12": object()})

    cuda.prepare([0], load=load, driver_file=tmp_path / "version", packages=tmp_path)

    assert load.asked[-1] == "libcublas.so.12"


def test_library_that_is_loaded_globally_is_open_to_the_process() -> None:
    library = cuda.load_globally("libc.so.6")

    assert isinstance(library, ctypes.CDLL)
