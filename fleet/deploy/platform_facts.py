"""SageMaker's own numbers that only a deployment depends on, each with its page; fleet/platform.py has the rest.

Instance types are written as the API writes them: `ml.g6.2xlarge`. Its family is `g6`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Cuda = Literal[12, 13]
"""Major version of CUDA that an image was built with."""

LONGEST_NAME = 63
"""Characters. API reference: CreateEndpoint, CreateEndpointConfig, CreateModel."""

ENVIRONMENT_ENTRIES = 100
ENVIRONMENT_BYTES = 32 * 1024
ENVIRONMENT_ENTRY_BYTES = 1024
"""Of the container's environment: entries, all together, each key and each value.
API reference: ContainerDefinition, Environment."""

MOST_CONCURRENT_INVOCATIONS = 1000
"""API reference: AsyncInferenceClientConfig, MaxConcurrentInvocationsPerInstance."""

VARIANT = "AllTraffic"
"""Name of the only production variant; it is part of what scaling and metrics call the endpoint's instances."""

LOG_GROUP = "/aws/sagemaker/Endpoints/"
"""Followed by the endpoint's name. docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineImage:
    """What a GPU instance boots, as far as the container notices it."""

    name: str
    driver: int


MACHINE_IMAGES = (
    MachineImage(name="al2-ami-sagemaker-inference-gpu-3-1", driver=550),
    MachineImage(name="al2023-ami-sagemaker-inference-gpu-4-1", driver=580),
)
"""Those that are chosen from, oldest driver first. API reference: ProductionVariant, InferenceAmiVersion.

The two with driver 535 (`al2-ami-sagemaker-inference-gpu-2`, `-2-1`) would do for CUDA 12 too, but 550 is what AWS
tests its own CUDA 12 images on (github.com/aws/deep-learning-containers, the constants of its SageMaker tests). 580 is
no safe choice for everybody: a CUDA 12.9 image never started on it (issue 6187 there)."""

OLDEST_DRIVER: Mapping[Cuda, int] = MappingProxyType({12: 525, 13: 580})
"""Driver that a CUDA version runs on, for GPUs that the image has machine code for.
docs.nvidia.com/cuda/cuda-toolkit-release-notes, table 2: minor version compatibility."""

COMPILING_DRIVER = 570
"""Driver that can compile PTX 8.7, which is all that CTranslate2's wheel has for GPUs beyond compute capability 8.9.
docs.nvidia.com/cuda/parallel-thread-execution, release notes: PTX 8.7 came with CUDA 12.8 and driver 570."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A kind of GPU, by what its compute capability means for the image."""

    name: str
    has_machine_code: bool
    is_blackwell: bool = False


GPUS: Mapping[str, Gpu] = MappingProxyType(
    {
        "p3": Gpu(name="V100", has_machine_code=True),
        "g4dn": Gpu(name="T4", has_machine_code=True),
        "p4d": Gpu(name="A100", has_machine_code=True),
        "p4de": Gpu(name="A100", has_machine_code=True),
        "g5": Gpu(name="A10G", has_machine_code=True),
        "g6": Gpu(name="L4", has_machine_code=True),
        "g6e": Gpu(name="L40S", has_machine_code=True),
        "p5": Gpu(name="H100", has_machine_code=False),
        "p5e": Gpu(name="H200", has_machine_code=False),
        "p5en": Gpu(name="H200", has_machine_code=False),
        "g7": Gpu(name="Blackwell", has_machine_code=False, is_blackwell=True),
        "g7e": Gpu(name="Blackwell", has_machine_code=False, is_blackwell=True),
        "p6-b200": Gpu(name="Blackwell", has_machine_code=False, is_blackwell=True),
        "p6-b300": Gpu(name="Blackwell", has_machine_code=False, is_blackwell=True),
    }
)
"""GPU of each instance family. docs.aws.amazon.com/ec2/latest/instancetypes/ac.html (accelerated computing);
compute capabilities: developer.nvidia.com/cuda-gpus. Nothing was found on g7; it is taken for a sibling of g7e, which
gives it the newest driver."""

UNSUITABLE: tuple[tuple[str, str], ...] = (
    (r"p2", "its GPU (K80) is older than any that CUDA 12 knows"),
    (r"(inf|trn)\d+n?", "it has AWS's own accelerator, and the images are built for NVIDIA's GPUs and for CPUs"),
    (r"[a-z]+\d+g[a-z]*|p6e-gb\d+", "its processor is ARM, and the images are built for x86-64"),
)
"""Families (as patterns) on which neither image can run, and why. Families whose number is followed by g have Graviton
processors: docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html"""

BUSY_STATUSES = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})
"""An endpoint in one of these can be neither updated nor deleted yet. API reference: DescribeEndpoint."""


def family_of(instance_type: str) -> str:
    """Return the family of an instance type.

    Example:
        >>> family_of("ml.g6.2xlarge")
        'g6'
    """
    return instance_type.removeprefix("ml.").rpartition(".")[0]


def gpu_of(instance_type: str) -> Gpu | None:
    """Return the GPU of an instance type, None if it has none."""
    return GPUS.get(family_of(instance_type))


def unsuitable(instance_type: str) -> str | None:
    """Return why the images cannot run on an instance type, None if they can."""
    family = family_of(instance_type)
    return next((why for pattern, why in UNSUITABLE if re.fullmatch(pattern, family)), None)


def driver_of(machine_image: str | None) -> int | None:
    """Return the driver that a machine image brings, None if it is not one of ours."""
    return next((image.driver for image in MACHINE_IMAGES if image.name == machine_image), None)


def machine_image_for(instance_type: str, cuda: Cuda) -> str | None:
    """Return the InferenceAmiVersion that an image needs on an instance type.

    The oldest driver that is new enough: newer ones are tried by fewer people.

    Returns:
        None for an instance without a GPU: it needs no driver.
    """
    gpu = gpu_of(instance_type)
    if gpu is None:
        return None
    needed = OLDEST_DRIVER[cuda] if gpu.has_machine_code else max(COMPILING_DRIVER, OLDEST_DRIVER[cuda])
    return next(image.name for image in MACHINE_IMAGES if image.driver >= needed)
