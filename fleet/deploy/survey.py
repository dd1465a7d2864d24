"""What AWS has of a deployment. Reads only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from fleet.deploy.desired import OWNER_TAG, Mode, Names
from fleet.deploy.existing import Config, Endpoint, Existing, Model, Policy, Topic
from fleet.deploy.requests import HASH_DIGITS, SCALED, Parameters

Client = Any  # boto3 makes its clients' methods at run time
Clients = Callable[[str], Client]
"""From a service's name to its boto3 client."""

ABSENT = frozenset({"NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException"})
"""Error codes for things that are not there."""


def is_absent(error: ClientError) -> bool:
    """Return whether an error says that a thing is not there.

    SageMaker says it in the text of a ValidationException, Application Auto Scaling by an ObjectNotFoundException.
    """
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code == "ValidationException":
        return "could not find" in message.lower() or "does not exist" in message.lower()
    return code in ABSENT or code == "ObjectNotFoundException"


def survey(client: Clients, names: Names) -> Existing:
    """Read what exists of a deployment.

    Raises:
        ClientError: AWS does not let us look.
    """
    sagemaker = client("sagemaker")
    endpoints = {
        endpoint.name: endpoint for mode in Mode if (endpoint := _endpoint(sagemaker, names.endpoint(mode))) is not None
    }
    resources = [names.resource(mode) for mode in Mode]
    return Existing(
        endpoints=endpoints,
        models={model.name: model for model in _models(sagemaker, names)},
        configs={config.name: config for config in _configs(sagemaker, names)},
        topics={topic.arn: topic for topic in _topics(client("sns"), names)},
        targets=_targets(client("application-autoscaling"), resources),
        policies=tuple(policy for resource in resources for policy in _policies(client, resource)),
        alarm=_alarm(client("cloudwatch"), names.wake_policy),
    )


def _endpoint(sagemaker: Client, name: str) -> Endpoint | None:
    try:
        found = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if is_absent(error):
            return None
        raise
    variants = found.get("ProductionVariants") or [{}]
    return Endpoint(
        name=name,
        arn=found["EndpointArn"],
        tags=_tags(sagemaker, found["EndpointArn"]),
        status=found["EndpointStatus"],
        config=found.get("EndpointConfigName", ""),  # absent while an endpoint that failed to start is removed
        pending_config=found.get("PendingDeploymentSummary", {}).get("EndpointConfigName", ""),
        instances=variants[0].get("DesiredInstanceCount", 0),
        failure=found.get("FailureReason", ""),
    )


def _models(sagemaker: Client, names: Names) -> Iterator[Model]:
    ours = re.compile(rf"{names.deployment}-[0-9a-f]{{{HASH_DIGITS}}}")
    for found in _pages(sagemaker, "list_models", "Models", NameContains=f"{names.deployment}-"):
        name, arn = found["ModelName"], found["ModelArn"]
        if ours.fullmatch(name) and (tags := _tags(sagemaker, arn)).get(OWNER_TAG) == names.deployment:
            yield Model(name=name, arn=arn, tags=tags)


def _configs(sagemaker: Client, names: Names) -> Iterator[Config]:
    ours = re.compile(rf"{names.deployment}-({'|'.join(Mode)})-[0-9a-f]{{{HASH_DIGITS}}}")
    for found in _pages(sagemaker, "list_endpoint_configs", "EndpointConfigs", NameContains=f"{names.deployment}-"):
        name, arn = found["EndpointConfigName"], found["EndpointConfigArn"]
        if ours.fullmatch(name) and (tags := _tags(sagemaker, arn)).get(OWNER_TAG) == names.deployment:
            variant = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"][0]
            yield Config(
                name=name, arn=arn, tags=tags, model=variant["ModelName"], instance_type=variant["InstanceType"]
            )


def _topics(sns: Client, names: Names) -> Iterator[Topic]:
    for arn in (names.success_topic, names.error_topic):
        try:
            found = sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
        except ClientError as error:
            if is_absent(error):
                continue
            raise
        tags = _mapping(found)
        if tags.get(OWNER_TAG) == names.deployment:
            yield Topic(arn=arn, tags=tags)


def _targets(scaling: Client, resources: list[str]) -> dict[str, Parameters]:
    found = scaling.describe_scalable_targets(**SCALED, ResourceIds=resources)["ScalableTargets"]
    return {
        target["ResourceId"]: {
            **SCALED,
            "ResourceId": target["ResourceId"],
            "MinCapacity": target["MinCapacity"],
            "MaxCapacity": target["MaxCapacity"],
        }
        for target in found
    }


def _policies(client: Clients, resource: str) -> Iterator[Policy]:
    for found in _pages(
        client("application-autoscaling"), "describe_scaling_policies", "ScalingPolicies", **SCALED, ResourceId=resource
    ):
        yield Policy(name=found["PolicyName"], resource=resource, arn=found["PolicyARN"], parameters=found)


def _alarm(cloudwatch: Client, name: str) -> Parameters | None:
    found: list[Parameters] = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found[0] if found else None


def _tags(sagemaker: Client, arn: str) -> dict[str, str]:
    return _mapping(_pages(sagemaker, "list_tags", "Tags", ResourceArn=arn))


def _mapping(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _pages(client: Client, operation: str, key: str, **parameters: str) -> Iterator[Mapping[str, Any]]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page[key]
