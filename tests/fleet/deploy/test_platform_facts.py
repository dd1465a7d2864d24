"""Machine images and instance types."""

from __future__ import annotations

import re

import pytest
from botocore.session import get_session

from fleet.deploy import platform_facts
from fleet.deploy.platform_facts import Cuda, driver_of, family_of, gpu_of, machine_image_for, unsuitable
from transcriber.engines import cuda as device

SERVICE = get_session().get_service_model("sagemaker")
INSTANCE_TYPES: list[str] = SERVICE.shape_for("ProductionVariantInstanceType").enum
OLD, NEW = "al2-ami-sagemaker-inference-gpu-3-1", "al2023-ami-sagemaker-inference-gpu-4-1"


@pytest.mark.parametrize(
    ("instance_type", "cuda", "expected"),
    [
        ("ml.m5.large", 12, None),
        ("ml.g4dn.xlarge", 12, OLD),
        ("ml.g5.xlarge", 12, OLD),
        ("ml.g6.2xlarge", 12, OLD),
        ("ml.g6e.12xlarge", 12, OLD),
        ("ml.p4d.24xlarge", 12, OLD),
        ("ml.g6.2xlarge", 13, NEW),
        ("ml.p5.4xlarge", 12, NEW),
        ("ml.p5en.48xlarge", 12, NEW),
        ("ml.p6-b200.48xlarge", 12, NEW),
        ("ml.g7e.2xlarge", 12, NEW),
    ],
)
def test_the_machine_image_has_a_driver_for_the_image_on_that_gpu(
    instance_type: str, cuda: Cuda, expected: str | None
) -> None:
    assert machine_image_for(instance_type, cuda) == expected


def test_drivers_are_those_of_the_api_reference() -> None:
    text = re.sub("<[^>]+>", " ", SERVICE.shape_for("ProductionVariant").members["InferenceAmiVersion"].documentation)
    described = {
        name: int(driver)
        for name, driver in re.findall(r"(al2\S+)\s+Accelerator: GPU\s+NVIDIA driver version: (\d+)", text)
    }

    assert {image.name: image.driver for image in platform_facts.MACHINE_IMAGES}.items() <= described.items()


def test_the_container_asks_for_the_machine_images_that_are_chosen() -> None:
    """The container names one when its driver is too old; the deployment must not choose another."""
    advised = [value for value in vars(device).values() if isinstance(value, str) and "InferenceAmiVersion" in value]

    assert any(OLD in sentence and f"driver {driver_of(OLD)}" in sentence for sentence in advised)
    assert any(NEW in sentence and f"driver {driver_of(NEW)}" in sentence for sentence in advised)


@pytest.mark.parametrize("instance_type", [name for name in INSTANCE_TYPES if re.match(r"ml\.(g|p)\d", name)])
def test_every_gpu_type_that_sagemaker_has_is_known_or_refused(instance_type: str) -> None:
    assert (gpu_of(instance_type) is None) != (unsuitable(instance_type) is None)


@pytest.mark.parametrize("instance_type", [name for name in INSTANCE_TYPES if re.match(r"ml\.(m|c|r|t)\d", name)])
def test_only_graviton_is_refused_among_cpu_types(instance_type: str) -> None:
    is_graviton = re.fullmatch(r"[a-z]\d+g[a-z]*", family_of(instance_type)) is not None

    assert gpu_of(instance_type) is None
    assert (unsuitable(instance_type) is not None) == is_graviton


def test_driver_of_an_unknown_machine_image_is_unknown() -> None:
    assert driver_of("al2-ami-sagemaker-inference-neuron-2") is None
    assert driver_of(None) is None
