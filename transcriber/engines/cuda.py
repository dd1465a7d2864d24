"""What a CUDA device needs before CTranslate2 may touch it: a driver that is new enough, and cuBLAS in the process."""

from __future__ import annotations

import ctypes
import re
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from transcriber.errors import ModelUnavailable

Load = Callable[[str], ctypes.CDLL]
"""Opens a shared library by path or by soname; raises OSError when there is none."""

CudaVersion = tuple[int, int]
"""Major and minor: (12, 8) is CUDA 12.8."""

OLDEST_CUDA: CudaVersion = (12, 0)
"""What CTranslate2's wheel and cuBLAS 12 need on a GPU for which the wheel carries machine code."""

OLDEST_CUDA_FOR_JIT: CudaVersion = (12, 8)
"""What a newer GPU needs: there the driver compiles the wheel's PTX itself, and that is PTX 8.7, CUDA 12.8's."""

OLDEST_CUDA_FOR_TORCH: CudaVersion = (13, 0)
"""What PyPI's PyTorch 2.13 is built with; CUDA 13 runs on GPUs from 7.5 (T4) on."""

NEWEST_NATIVE_GENERATION = 8
"""Major number of the compute capability. CTranslate2 4.8.5 carries machine code up to 8.6, which 8.9 (L4, L40S) runs
as it is; from 9.0 on (H100, H200) there is only its PTX."""

# Source: the values of InferenceAmiVersion and TransformAmiVersion in the SageMaker API, and AWS's table of drivers.
CURE = (
    "driver 525 or newer; on SageMaker set InferenceAmiVersion to al2-ami-sagemaker-inference-gpu-3-1 (driver 550), "
    "for batch transform TransformAmiVersion to al2-ami-sagemaker-batch-gpu-535"
)
CURE_FOR_JIT = (
    "driver 570 or newer; on SageMaker set InferenceAmiVersion to al2023-ami-sagemaker-inference-gpu-4-1 (driver 580)"
)

CURE_FOR_TORCH = (
    "driver 580 or newer; on SageMaker set InferenceAmiVersion to al2023-ami-sagemaker-inference-gpu-4-1 (driver 580)"
)

COMPUTE_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR in cuda.h
NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE

DRIVER_FILE = Path("/proc/driver/nvidia/version")
"""Where the kernel's half of the driver tells its own number."""

PACKAGES = Path(sysconfig.get_path("platlib"))
"""Where pip installs the cuBLAS wheel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The driver that the host lends to the container.

    Attributes:
        number: As NVIDIA counts drivers, such as 550.127.05; None when the kernel does not tell.
        cuda: The newest CUDA that it runs.
    """

    number: str | None
    cuda: CudaVersion

    def __str__(self) -> str:
        """Name the driver for a message."""
        return f"NVIDIA driver {self.number or 'of unknown number'} (CUDA {_dotted(self.cuda)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A device as the driver describes it.

    Attributes:
        name: Such as NVIDIA L4.
        generation: Major number of its compute capability: 7 for T4, 8 for A10G, L4 and L40S, 9 for H100 and H200.
    """

    name: str
    generation: int


def load_globally(name: str) -> ctypes.CDLL:
    """Open a shared library so that a later dlopen of its soname, by anybody in the process, finds it."""
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def prepare(
    device_indices: Sequence[int],
    *,
    load: Load = load_globally,
    driver_file: Path = DRIVER_FILE,
    packages: Path = PACKAGES,
) -> None:
    """Make CUDA devices ready for CTranslate2.

    Call it in the process that will use the devices and before CTranslate2 does: CUDA does not survive a fork.

    Args:
        device_indices: Numbers of the devices among those that the container sees.
        load: Opens shared libraries.
        driver_file: Where the kernel tells the driver's number.
        packages: The folder into which pip installed the cuBLAS wheel.

    Raises:
        ModelUnavailable: The driver, a device or cuBLAS is missing, or the driver is too old. The message is one line
            and says which driver is needed and which machine image of SageMaker has it.
    """
    check_driver(device_indices, load=load, driver_file=driver_file)
    preload_cublas(load=load, packages=packages)


def check_driver(
    device_indices: Sequence[int],
    *,
    load: Load = load_globally,
    driver_file: Path = DRIVER_FILE,
    oldest: CudaVersion = OLDEST_CUDA,
    oldest_for_new_gpus: CudaVersion = OLDEST_CUDA_FOR_JIT,
) -> None:
    """Ask the driver whether this image can run on the devices.

    Arguments and failure are those of `prepare`; `oldest` is what every GPU needs, and `oldest_for_new_gpus` what those
    beyond `NEWEST_NATIVE_GENERATION` need.
    """
    try:
        cuda = load("libcuda.so.1")
    except OSError as error:
        raise ModelUnavailable(
            "no NVIDIA driver reaches this container: choose an instance type with a GPU, outside SageMaker start the "
            "container with --gpus all, or set DEVICE to cpu"
        ) from error
    driver = _driver(cuda, driver_file)
    if driver.cuda < oldest:
        cure = CURE_FOR_TORCH if oldest >= OLDEST_CUDA_FOR_TORCH else CURE
        raise ModelUnavailable(f"the {driver} is too old: this image needs {cure}")
    for gpu in _gpus(cuda, driver, device_indices):
        if gpu.generation > NEWEST_NATIVE_GENERATION and driver.cuda < oldest_for_new_gpus:
            raise ModelUnavailable(f"the {driver} is too old for {gpu.name}: this image needs {CURE_FOR_JIT}")


def preload_cublas(*, load: Load, packages: Path) -> None:
    """Bring cuBLAS into the process, where CTranslate2 finds it by its soname and LD_LIBRARY_PATH is not needed.

    Raises:
        ModelUnavailable: Neither pip's wheel nor the system has cuBLAS 12.
    """
    for place in (str(packages / "nvidia" / "cublas" / "lib" / "libcublas.so.12"), "libcublas.so.12"):
        try:
            load(place)
        except OSError:
            continue
        return
    raise ModelUnavailable(
        "cuBLAS 12 is not installed: build the image from Dockerfile.gpu, or install requirements-gpu.txt"
    )


def _driver(cuda: ctypes.CDLL, driver_file: Path) -> Driver:
    version = ctypes.c_int()
    succeed(cuda, cuda.cuDriverGetVersion(ctypes.pointer(version)), "tell its version")
    try:
        told = driver_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    number = re.search(r"\b\d{3,}\.\d+(?:\.\d+)?\b", told)
    major, rest = divmod(version.value, 1000)  # CUDA 12.8 is told as 12080
    return Driver(number=number.group() if number else None, cuda=(major, rest // 10))


def _gpus(cuda: ctypes.CDLL, driver: Driver, device_indices: Sequence[int]) -> Iterator[Gpu]:
    count = ctypes.c_int()
    begun = cuda.cuInit(0)
    if begun != NO_DEVICE:
        succeed(cuda, begun, "start")
        succeed(cuda, cuda.cuDeviceGetCount(ctypes.pointer(count)), "count its devices")
    for index in device_indices:
        if index not in range(count.value):
            raise ModelUnavailable(
                f"DEVICE_INDEX names GPU {index}, but the {driver} shows {count.value} of them, counted from 0"
            )
        yield _gpu(cuda, index)


def _gpu(cuda: ctypes.CDLL, index: int) -> Gpu:
    device, generation, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(256)
    succeed(cuda, cuda.cuDeviceGet(ctypes.pointer(device), index), "open a device")
    described = cuda.cuDeviceGetAttribute(ctypes.pointer(generation), COMPUTE_CAPABILITY_MAJOR, device)
    succeed(cuda, described, "describe a device")
    succeed(cuda, cuda.cuDeviceGetName(name, len(name), device), "name a device")
    return Gpu(name=name.value.decode("utf-8", "replace"), generation=generation.value)


def succeed(cuda: ctypes.CDLL, code: int, aim: str) -> None:
    """Return when a call of the driver succeeded.

    Raises:
        ModelUnavailable: It did not; the message says what the driver `cannot` do, and its own reason.
    """
    if code == 0:
        return
    name = ctypes.c_char_p()
    cuda.cuGetErrorName(code, ctypes.pointer(name))
    reason = name.value.decode("ascii", "replace") if name.value else f"error {code}"
    raise ModelUnavailable(f"the NVIDIA driver cannot {aim}: {reason}; replace the instance if it happens again")


def _dotted(version: CudaVersion) -> str:
    return f"{version[0]}.{version[1]}"
