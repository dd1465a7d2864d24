"""What botocore lets through and the service refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import Shape

from fleet.emulator.constraints import _compiled, operation, summary, violations

OURS = {
    "sagemaker-runtime": ["InvokeEndpoint", "InvokeEndpointAsync", "InvokeEndpointWithResponseStream"],
    "sagemaker": [
        *(
            f"{verb}{thing}"
            for verb in ("Create", "Describe", "Delete")
            for thing in ("Model", "Endpoint", "EndpointConfig")
        ),
        *("ListModels", "ListEndpoints", "ListEndpointConfigs", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"),
        *("CreateTransformJob", "DescribeTransformJob", "ListTransformJobs", "StopTransformJob"),
        *("AddTags", "ListTags", "DeleteTags"),
    ],
}


def found(name: str, value: dict[str, Any], service: str = "sagemaker") -> list[str]:
    model = operation(service, name)
    assert model
    assert model.input_shape

    return list(violations(model.input_shape, value))


def shapes(shape: Shape, seen: set[str]) -> Iterator[Shape]:
    if shape.name in seen:
        return
    seen.add(shape.name)
    yield shape
    members = getattr(shape, "members", {}).values() if shape.type_name == "structure" else []
    for member in [*members, *([shape.member] if shape.type_name == "list" else [])]:  # type: ignore[attr-defined]
        yield from shapes(member, seen)


@pytest.mark.parametrize(("service", "name"), [(service, name) for service, names in OURS.items() for name in names])
def test_every_pattern_of_our_operations_is_understood(service: str, name: str) -> None:
    model = operation(service, name)
    assert model
    assert model.input_shape

    for shape in shapes(model.input_shape, set()):
        if "pattern" in shape.metadata:
            _compiled(shape.metadata["pattern"])


def config(**variant: object) -> dict[str, Any]:
    given = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.g6.xlarge", "InitialInstanceCount": 1, **variant}
    return {"EndpointConfigName": "c", "ProductionVariants": [given]}


def test_instance_types_of_today_are_known() -> None:
    for name in ("ml.g5.xlarge", "ml.g6.xlarge", "ml.g6e.xlarge", "ml.p5.4xlarge", "ml.m5.large"):
        assert found("CreateEndpointConfig", config(InstanceType=name)) == []


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"InferenceAmiVersion": "bogus"}, "Value 'bogus' at 'productionVariants.1.member.inferenceAmiVersion'"),
        ({"InstanceType": "ml.x1.huge"}, "Member must satisfy enum value set"),
        ({"ContainerStartupHealthCheckTimeoutInSeconds": 3601}, "less than or equal to 3600"),
        ({"VariantName": "under_score"}, "Member must satisfy regular expression pattern"),
    ],
)
def test_maxima_enumerations_and_patterns_are_refused_by_name(variant: dict[str, object], expected: str) -> None:
    (violation,) = found("CreateEndpointConfig", config(**variant))

    assert expected in violation


def test_missing_members_are_named() -> None:
    assert "Value null at 'endpointConfigName'" in found("CreateEndpoint", {"EndpointName": "e"})[0]


@pytest.mark.parametrize(
    ("members", "broken"),
    [
        ({"InferenceId": "x" * 65}, True),
        ({"InferenceId": "a b"}, False),
        ({"CustomAttributes": "x" * 1025}, True),
        ({"CustomAttributes": "straße"}, True),
        ({"InputLocation": "ftp://host/key"}, True),
        ({"Filename": "a.b.c"}, True),
        ({"RequestTTLSeconds": 59}, True),
        ({"InvocationTimeoutSeconds": 3600}, False),
    ],
)
def test_headers_of_an_invocation_have_limits(members: dict[str, object], broken: bool) -> None:
    assert bool(found("InvokeEndpointAsync", {"EndpointName": "e", **members}, "sagemaker-runtime")) == broken


def test_summary_counts() -> None:
    assert summary(["a", "b"]) == "2 validation errors detected: a; b"
    assert summary(["a"]) == "1 validation error detected: a"


def test_operations_are_those_of_botocore() -> None:
    assert set(OURS["sagemaker"]) <= set(Loader().load_service_model("sagemaker", "service-2")["operations"])
