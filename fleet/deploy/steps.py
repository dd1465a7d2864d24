"""The steps of a plan as values: calls and waits, and the calls that take single things away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fleet.deploy import platform_facts
from fleet.deploy.desired import Names
from fleet.deploy.requests import SCALED, Parameters

SETTLING_S = 3600
"""How long a wait for somebody else's change goes on, or for an endpoint to be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyArn:
    """Stands for the ARN of a policy that an earlier step makes: AWS chooses it."""

    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One API call.

    Attributes:
        service: What boto3 calls the service.
        operation: What the API calls the operation.
        parameters: What is sent; a `PolicyArn` may stand in the place of an ARN.
        what: The thing that is made, changed or removed.
        why: A clause for whoever reads the plan.
        removes: Whether the thing is gone afterwards.
    """

    service: str
    operation: str
    parameters: Parameters
    what: str
    why: str
    removes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Until an endpoint has come to rest.

    Attributes:
        endpoint: Its name.
        until: `InService` with `config`; `settled` is anything that can be updated or deleted; `gone`.
        config: The configuration that must serve then, or the update has been rolled back; None for any.
        limit_s: Seconds after which we stop waiting.
        why: A clause for whoever reads the plan.
    """

    endpoint: str
    until: Literal["InService", "settled", "gone"]
    config: str | None = None
    limit_s: int
    why: str

    @property
    def end(self) -> str:
        """What the endpoint is in the end, in words."""
        return {"InService": "in service", "settled": "at rest", "gone": "gone"}[self.until]


Step = Call | Wait


def calls(steps: Iterable[Step]) -> tuple[Call, ...]:
    """Return the calls among steps."""
    return tuple(step for step in steps if isinstance(step, Call))


def delete_endpoint(name: str, status: str) -> Sequence[Step]:
    """Remove an endpoint, once it can be removed."""
    steps: list[Step] = []
    if status in platform_facts.BUSY_STATUSES:
        steps.append(
            Wait(endpoint=name, until="settled", limit_s=SETTLING_S, why=f"it is {status} and cannot be deleted")
        )
    if status != "Deleting":
        steps.append(
            _deletion(
                "sagemaker",
                "DeleteEndpoint",
                {"EndpointName": name},
                f"endpoint {name}",
                "its instances stop, and stop costing money",
            )
        )
    return steps


def deregister(resource: str, why: str) -> Call:
    """Stop scaling an endpoint; its policies go too."""
    parameters = {**SCALED, "ResourceId": resource}
    what = f"scaling of {resource.split('/')[1]}"
    return _deletion("application-autoscaling", "DeregisterScalableTarget", parameters, what, why)


def delete_policy(name: str, resource: str) -> Call:
    """Remove one scaling policy."""
    parameters = {**SCALED, "PolicyName": name, "ResourceId": resource}
    why = "it is not needed any more"
    return _deletion("application-autoscaling", "DeleteScalingPolicy", parameters, f"scaling policy {name}", why)


def delete_alarm(names: Names, why: str) -> Call:
    """Remove the alarm that starts the first instance."""
    name = names.wake_policy
    return _deletion("cloudwatch", "DeleteAlarms", {"AlarmNames": [name]}, f"alarm {name}", why)


def delete_config(name: str) -> Call:
    """Remove an endpoint configuration."""
    what, why = f"endpoint configuration {name}", "no endpoint uses it any more"
    return _deletion("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": name}, what, why)


def delete_model(name: str) -> Call:
    """Remove a model."""
    why = "no endpoint configuration uses it any more"
    return _deletion("sagemaker", "DeleteModel", {"ModelName": name}, f"model {name}", why)


def delete_topic(arn: str) -> Call:
    """Remove a topic."""
    what, why = f"topic {arn.rpartition(':')[2]}", "it and its subscriptions are removed"
    return _deletion("sns", "DeleteTopic", {"TopicArn": arn}, what, why)


def _deletion(service: str, operation: str, parameters: Parameters, what: str, why: str) -> Call:
    return Call(service=service, operation=operation, parameters=parameters, what=what, why=why, removes=True)
