"""From what we want and what exists to the steps between them.

Pure: the plan is values, so it can be shown, tested and thrown away. Planning again on what a plan leads to gives an
empty plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.deploy import platform_facts, requests
from fleet.deploy.desired import OWNER_TAG, CannotDeploy, Deployment, Endpoint, Mode, Names
from fleet.deploy.existing import Existing
from fleet.deploy.scaling import covers, scaling_of
from fleet.deploy.steps import (
    SETTLING_S,
    Call,
    Step,
    Wait,
    delete_alarm,
    delete_config,
    delete_endpoint,
    delete_model,
    delete_policy,
    delete_topic,
    deregister,
)

STARTING_S = 1800
"""How long a wait goes on beyond the time that the container and its model are given: for finding an instance and
pulling the image. Generous, because giving up helps nobody: SageMaker goes on."""


def plan(wanted: Deployment, existing: Existing) -> tuple[Step, ...]:
    """Return the steps from what exists to what we want, in order.

    First what costs nothing until an endpoint uses it, then the endpoints, all started before any is waited for, then
    scaling, which needs endpoints in service, and last the removal of what no endpoint uses any more.

    Raises:
        CannotDeploy: An endpoint stands in the way: it is somebody else's, or in a state that only a person can mend.
    """
    changes = [_change(wanted, endpoint, existing) for endpoint in wanted.endpoints]
    return (
        *_topics(wanted, existing),
        *_model(wanted, existing),
        *_configs(wanted, existing),
        *(step for change in changes for step in change.steps),
        *(change.wait for change in changes if change.wait),
        *(
            step
            for endpoint, change in zip(wanted.endpoints, changes, strict=True)
            for step in scaling_of(wanted, endpoint, existing, loses_scaling=change.loses_scaling)
        ),
        *_tags(wanted, existing),
        *_leftovers(wanted, existing),
    )


def removal(names: Names, existing: Existing) -> tuple[Step, ...]:
    """Return the steps that remove everything of a deployment; what is not ours stays."""
    ours = [endpoint for endpoint in existing.endpoints.values() if endpoint.is_ours(names.deployment)]
    strangers = existing.endpoints.keys() - {endpoint.name for endpoint in ours}
    resources = {names.resource(mode) for mode in Mode if names.endpoint(mode) not in strangers}
    return (
        *((delete_alarm(names, "it wakes an endpoint that goes"),) if existing.alarm else ()),
        *(delete_policy(policy.name, policy.resource) for policy in existing.policies if policy.resource in resources),
        *(deregister(resource, "the endpoint goes") for resource in existing.targets if resource in resources),
        *(step for endpoint in ours for step in delete_endpoint(endpoint.name, endpoint.status)),
        *(
            Wait(endpoint=endpoint.name, until="gone", limit_s=SETTLING_S, why="its configuration is in use until then")
            for endpoint in ours
        ),
        *(delete_config(name) for name in existing.configs),
        *(delete_model(name) for name in existing.models),
        *(delete_topic(arn) for arn in existing.topics),
    )


def remarks(names: Names, existing: Existing) -> tuple[str, ...]:
    """Return what exists beside the deployment and is left alone, but should be known."""
    own = {names.wake_policy, *(names.tracking_policy(mode) for mode in Mode)}
    strangers = [
        f"{endpoint.name} exists and was not made by this deployment; it is left alone"
        for endpoint in existing.endpoints.values()
        if not endpoint.is_ours(names.deployment)
    ]
    return (
        *strangers,
        *(
            f"somebody added the scaling policy {policy.name} to {policy.resource.split('/')[1]}; several policies may "
            "work against each other"
            for policy in existing.policies
            if policy.name not in own
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What happens to one endpoint.

    Attributes:
        steps: Up to the call that starts the change.
        wait: For the end of the change; None when nothing happens.
        loses_scaling: Whether target and policies are gone after the steps.
    """

    steps: tuple[Step, ...] = ()
    wait: Wait | None = None
    loses_scaling: bool = False


def _change(wanted: Deployment, endpoint: Endpoint, existing: Existing) -> _Change:
    name = wanted.names.endpoint(endpoint.mode)
    config = _config_name(wanted, endpoint)
    served = Wait(
        endpoint=name,
        until="InService",
        config=config,
        limit_s=wanted.instances.startup_timeout_s
        + (wanted.instances.download_timeout_s if wanted.container.model_data else 0)
        + STARTING_S,
        why="instances start, pull the image and load the model; scaling can be set only on an endpoint in service",
    )
    resource = wanted.names.resource(endpoint.mode)
    deregistering = (deregister(resource, "it comes back with the endpoint"),) if resource in existing.targets else ()
    found = existing.endpoints.get(name)
    if found is None:
        return _Change(steps=(*deregistering, _create_endpoint(wanted, endpoint)), wait=served, loses_scaling=True)
    if not found.is_ours(wanted.names.deployment):
        raise CannotDeploy(
            f"an endpoint called {name} exists and was not made by this deployment (it has no tag "
            f"{OWNER_TAG}={wanted.names.deployment}); choose another --name, or delete that endpoint first"
        )
    if found.status in {"Failed", "Deleting"}:
        deleting = delete_endpoint(name, found.status) if found.status == "Failed" else ()
        gone = Wait(endpoint=name, until="gone", limit_s=SETTLING_S, why="its name is taken until then")
        return _Change(
            steps=(*deregistering, *deleting, gone, _create_endpoint(wanted, endpoint)), wait=served, loses_scaling=True
        )
    if found.status not in platform_facts.BUSY_STATUSES | {"InService"}:
        raise CannotDeploy(
            f"the endpoint {name} is {found.status}, which no update can mend "
            f"({found.failure or 'no reason is given'}); remove it with scripts/destroy.py --name "
            f"{wanted.names.deployment} and deploy anew"
        )
    if found.next_config == config:
        return _Change(wait=served if found.status in platform_facts.BUSY_STATUSES else None)
    settled = Wait(endpoint=name, until="settled", limit_s=SETTLING_S, why=f"it is {found.status} and takes no update")
    old = existing.configs.get(found.next_config)
    is_other_type = old is None or old.instance_type != wanted.instances.type
    loses_scaling = bool(deregistering) and is_other_type
    return _Change(
        steps=(
            *((settled,) if found.status in platform_facts.BUSY_STATUSES else ()),
            *(
                (deregister(resource, "SageMaker refuses another instance type while scaling is set"),)
                if loses_scaling
                else ()
            ),
            Call(
                service="sagemaker",
                operation="UpdateEndpoint",
                parameters={
                    "EndpointName": name,
                    "EndpointConfigName": config,
                    # The fleet keeps its size. One that has scaled to zero starts with an instance, or the new
                    # configuration would count as working without having been tried.
                    "RetainAllVariantProperties": found.instances > 0,
                },
                what=f"endpoint {name}",
                why="new instances start beside the old ones, take over, and the old ones go",
            ),
        ),
        wait=served,
        loses_scaling=loses_scaling,
    )


def _topics(wanted: Deployment, existing: Existing) -> Iterator[Step]:
    own = {wanted.names.success_topic, wanted.names.error_topic}
    used = [
        topic
        for endpoint in wanted.endpoints
        if endpoint.results
        for topic in (endpoint.results.success_topic, endpoint.results.error_topic)
        if topic in own and topic not in existing.topics
    ]
    for topic in used:
        name = topic.rpartition(":")[2]
        yield Call(
            service="sns",
            operation="CreateTopic",
            parameters={"Name": name, "Tags": requests.tags(wanted)},
            what=f"topic {name}",
            why=f"told of every {'failed job' if topic == wanted.names.error_topic else 'transcript'}",
        )


def _model(wanted: Deployment, existing: Existing) -> Iterator[Step]:
    parameters = requests.model(wanted)
    if parameters["ModelName"] not in existing.models:
        yield Call(
            service="sagemaker",
            operation="CreateModel",
            parameters=parameters,
            what=f"model {parameters['ModelName']}",
            why="the image, its role and its settings; the name ends in a hash of them",
        )


def _configs(wanted: Deployment, existing: Existing) -> Iterator[Step]:
    for endpoint in wanted.endpoints:
        parameters = requests.endpoint_config(wanted, endpoint)
        if parameters["EndpointConfigName"] not in existing.configs:
            yield Call(
                service="sagemaker",
                operation="CreateEndpointConfig",
                parameters=parameters,
                what=f"endpoint configuration {parameters['EndpointConfigName']}",
                why=f"{_handing_out(endpoint)}; {_driver(wanted)}",
            )


def _create_endpoint(wanted: Deployment, endpoint: Endpoint) -> Call:
    name = wanted.names.endpoint(endpoint.mode)
    return Call(
        service="sagemaker",
        operation="CreateEndpoint",
        parameters={
            "EndpointName": name,
            "EndpointConfigName": _config_name(wanted, endpoint),
            "Tags": requests.tags(wanted),
        },
        what=f"endpoint {name}",
        why="from here on instances cost money; it starts with 1, the least that SageMaker takes, and goes to 0 when "
        "its queue stays empty"
        if endpoint.scaling.least == 0
        else "from here on instances cost money",
    )


def _tags(wanted: Deployment, existing: Existing) -> Iterator[Step]:
    """Add tags to what stays. Tags that others put there stay too."""
    expected = {tag["Key"]: tag["Value"] for tag in requests.tags(wanted)}
    kept = [
        existing.models.get(requests.model(wanted)["ModelName"]),
        *(existing.configs.get(_config_name(wanted, endpoint)) for endpoint in wanted.endpoints),
        *(
            existing.endpoints.get(wanted.names.endpoint(endpoint.mode))
            for endpoint in wanted.endpoints
            if _keeps_its_endpoint(wanted, endpoint, existing)
        ),
    ]
    for thing in kept:
        if thing is not None and not covers(thing.tags, expected):
            yield Call(
                service="sagemaker",
                operation="AddTags",
                parameters={"ResourceArn": thing.arn, "Tags": requests.tags(wanted)},
                what=f"tags of {thing.name}",
                why="some are missing or say something else",
            )
    for topic in existing.topics.values():
        if not covers(topic.tags, expected):
            yield Call(
                service="sns",
                operation="TagResource",
                parameters={"ResourceArn": topic.arn, "Tags": requests.tags(wanted)},
                what=f"tags of {topic.arn.rpartition(':')[2]}",
                why="some are missing or say something else",
            )


def _leftovers(wanted: Deployment, existing: Existing) -> Iterator[Step]:
    """Remove configurations and models that no endpoint uses once the steps before are through."""
    kept_configs = {_config_name(wanted, endpoint) for endpoint in wanted.endpoints}
    managed = {wanted.names.endpoint(endpoint.mode) for endpoint in wanted.endpoints}
    others = [endpoint for endpoint in existing.endpoints.values() if endpoint.name not in managed]
    kept_configs |= {name for endpoint in others for name in (endpoint.config, endpoint.pending_config)}
    configs = [name for name in existing.configs if name not in kept_configs]
    used_models = {config.model for name, config in existing.configs.items() if name in kept_configs}
    used_models.add(requests.model(wanted)["ModelName"])
    yield from (delete_config(name) for name in configs)
    yield from (delete_model(name) for name in existing.models if name not in used_models)


def _keeps_its_endpoint(wanted: Deployment, endpoint: Endpoint, existing: Existing) -> bool:
    found = existing.endpoints.get(wanted.names.endpoint(endpoint.mode))
    return found is not None and found.status not in {"Failed", "Deleting"}


def _config_name(wanted: Deployment, endpoint: Endpoint) -> str:
    name: str = requests.endpoint_config(wanted, endpoint)["EndpointConfigName"]
    return name


def _handing_out(endpoint: Endpoint) -> str:
    if endpoint.results is None:
        return "each request goes to the instance with the fewest in flight"
    return (
        f"jobs wait in a queue, and an instance gets {endpoint.results.jobs_at_once} at once, so many as its container "
        "never refuses"
    )


def _driver(wanted: Deployment) -> str:
    gpu = platform_facts.gpu_of(wanted.instances.type)
    if gpu is None:
        return f"{wanted.instances.type} has no GPU"
    driver = platform_facts.driver_of(wanted.instances.machine_image)
    return f"the machine image brings driver {driver or 'of its own'} for the {gpu.name}"
