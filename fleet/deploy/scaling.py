"""The steps that make an endpoint grow and shrink: target, policies, and the alarm that wakes it from zero.

Pure, as the plan that they are a part of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.deploy import requests
from fleet.deploy.desired import Deployment, Endpoint, Mode
from fleet.deploy.existing import Existing
from fleet.deploy.steps import Call, PolicyArn, Step, delete_alarm, delete_policy


def scaling_of(wanted: Deployment, endpoint: Endpoint, existing: Existing, *, loses_scaling: bool) -> Iterator[Step]:
    """Yield the steps from the scaling that an endpoint has to the one that is wanted.

    Args:
        wanted: The whole deployment.
        endpoint: The one of its endpoints.
        existing: What there is.
        loses_scaling: Whether target and policies are gone once the steps before these are through.
    """
    names = wanted.names
    name = names.endpoint(endpoint.mode)
    target = requests.scalable_target(wanted, endpoint)
    found_target = None if loses_scaling else existing.targets.get(target["ResourceId"])
    if not covers(found_target, target):
        yield Call(
            service="application-autoscaling",
            operation="RegisterScalableTarget",
            parameters=target,
            what=f"scaling of {name}",
            why=f"{endpoint.scaling.least} to {endpoint.scaling.most} instances",
        )
    tracking = requests.tracking_policy(wanted, endpoint)
    waking = requests.wake_policy(wanted, endpoint)
    changed = set()
    for policy, why in (
        (tracking, f"aims at {endpoint.scaling.target:g} {_load(endpoint)} on each instance"),
        (waking, "starts the first instance"),
    ):
        if policy is None:
            continue
        found = None if loses_scaling else existing.policy(policy["PolicyName"])
        if found is None or not covers(found.parameters, policy):
            changed.add(policy["PolicyName"])
            yield Call(
                service="application-autoscaling",
                operation="PutScalingPolicy",
                parameters=policy,
                what=f"scaling policy {policy['PolicyName']}",
                why=why,
            )
    if endpoint.mode is Mode.ASYNC:
        yield from _waking(wanted, endpoint, existing, is_new=names.wake_policy in changed, loses_scaling=loses_scaling)


def _waking(
    wanted: Deployment, endpoint: Endpoint, existing: Existing, *, is_new: bool, loses_scaling: bool
) -> Iterator[Step]:
    names = wanted.names
    found = existing.policy(names.wake_policy)
    if endpoint.scaling.least > 0:
        if existing.alarm is not None:
            yield delete_alarm(names, "an instance always runs")
        if found is not None and not loses_scaling:
            yield delete_policy(found.name, found.resource)
        return
    action = PolicyArn(policy=names.wake_policy) if is_new or found is None else found.arn
    alarm = requests.wake_alarm(wanted, endpoint, action=action)
    if not covers(existing.alarm, {key: value for key, value in alarm.items() if key != "Tags"}):
        yield Call(
            service="cloudwatch",
            operation="PutMetricAlarm",
            parameters=alarm,
            what=f"alarm {names.wake_policy}",
            why="jobs wait and there is no instance: the policy above gets one",
        )


def _load(endpoint: Endpoint) -> str:
    return "requests in flight" if endpoint.mode is Mode.REALTIME else "jobs"


def covers(found: object, wanted: object) -> bool:
    """Return whether what exists says everything that is wanted; AWS adds defaults and facts of its own.

    Example:
        >>> covers({"Threshold": 1.0, "StateValue": "OK"}, {"Threshold": 1})
        True
        >>> covers({"Threshold": 2.0}, {"Threshold": 1})
        False
    """
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(key in found and covers(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(found, (list, tuple))
            and len(found) == len(wanted)
            and all(covers(one, other) for one, other in zip(found, wanted, strict=True))
        )
    return found == wanted
