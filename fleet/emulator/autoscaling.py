"""Application Auto Scaling at work: reads targets, policies and alarms from moto, which only stores them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet import platform
from fleet.emulator import scaling
from fleet.emulator.endpoint import Endpoint, Status
from fleet.emulator.scaling import Bounds, Memory, Step, TargetTracking
from fleet.emulator.world import World

DIMENSION = "sagemaker:variant:DesiredInstanceCount"

CONCURRENCY = frozenset({"SageMakerVariantConcurrentRequestsPerModelHighResolution", "ConcurrentRequestsPerModel"})
"""Metrics of real-time endpoints that are requests in flight for each instance."""

Document = Mapping[str, Any]


@dataclass(slots=True)
class Autoscaler:
    """Follows the policies of one endpoint's variant.

    `look` is one point of the metrics; the caller decides how often that is.
    """

    endpoint: Endpoint
    world: World
    _memories: dict[str, Memory] = field(default_factory=dict)

    def look(self) -> None:
        """Take a point of every metric that a policy follows, and change the number of instances if a policy says so.

        When several policies want different numbers, the largest is right, as at AWS.
        """
        endpoint = self.endpoint
        if endpoint.status is not Status.IN_SERVICE:
            return
        bounds = self._bounds()
        if bounds is None:
            return
        count = endpoint.group.desired
        wanted = [self._wanted(policy, count, bounds) for policy in self._policies()]
        best = max((number for number in wanted if number is not None), default=bounds.within(count))
        if best != count:
            endpoint.resize(best)

    @property
    def _resource(self) -> dict[str, str]:
        variant = self.endpoint.variant["VariantName"]
        return {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": DIMENSION,
            "ResourceId": f"endpoint/{self.endpoint.name}/variant/{variant}",
        }

    def _bounds(self) -> Bounds | None:
        resource = self._resource
        resource_id = resource.pop("ResourceId")
        client = self.world.clients.get("application-autoscaling", self.endpoint.region)
        targets = client.describe_scalable_targets(ResourceIds=[resource_id], **resource)["ScalableTargets"]
        return Bounds(least=targets[0]["MinCapacity"], most=targets[0]["MaxCapacity"]) if targets else None

    def _policies(self) -> list[Document]:
        client = self.world.clients.get("application-autoscaling", self.endpoint.region)
        policies: list[Document] = client.describe_scaling_policies(**self._resource)["ScalingPolicies"]
        return policies

    def _wanted(self, policy: Document, count: int, bounds: Bounds) -> int | None:
        memory = self._memories.setdefault(policy["PolicyARN"], Memory())
        now_s = time.monotonic()
        if policy["PolicyType"] == "TargetTrackingScaling":
            config = policy["TargetTrackingScalingPolicyConfiguration"]
            value = self._metric(_metric_name(config), count)
            rule = target_tracking(config, minute_s=self.world.options.patience.minute_s)
            return scaling.track(rule, memory, value=value, count=count, bounds=bounds, now_s=now_s)
        alarm = self._alarm(policy["PolicyARN"])
        if alarm is None:
            return None
        value = self._metric(alarm["MetricName"], count)
        step = step_policy(
            policy["StepScalingPolicyConfiguration"], alarm, minute_s=self.world.options.patience.minute_s
        )
        return scaling.step(step, memory, value=value or 0.0, count=count, bounds=bounds, now_s=now_s)

    def _alarm(self, policy_arn: str) -> Document | None:
        """Find the alarm that calls a step policy; without one the policy does nothing, here as at AWS."""
        alarms = self.world.clients.get("cloudwatch", self.endpoint.region).describe_alarms()["MetricAlarms"]
        return next((alarm for alarm in alarms if policy_arn in alarm.get("AlarmActions", [])), None)

    def _metric(self, name: str, count: int) -> float | None:
        """Return the present value of a metric, or None when it has none."""
        if name in CONCURRENCY:
            return self.endpoint.group.outstanding / max(self.endpoint.group.ready, 1)
        if self.endpoint.desk is None:
            return None
        levels = self.endpoint.desk.levels()
        if name == "ApproximateBacklogSizePerInstance" and count == 0:
            return levels["ApproximateBacklogSize"]
        return levels.get(name)


def target_tracking(config: Document, *, minute_s: float) -> TargetTracking:
    """Understand a target-tracking policy; its cooldowns shrink with the minute."""
    shrink = minute_s / 60
    return TargetTracking(
        target=config["TargetValue"],
        out_cooldown_s=config.get("ScaleOutCooldown", platform.SCALE_COOLDOWN_S) * shrink,
        in_cooldown_s=config.get("ScaleInCooldown", platform.SCALE_COOLDOWN_S) * shrink,
        may_scale_in=not config.get("DisableScaleIn", False),
    )


def step_policy(config: Document, alarm: Document, *, minute_s: float) -> Step:
    """Understand a step policy and its alarm; only the first step counts."""
    return Step(
        adjustment=config["StepAdjustments"][0]["ScalingAdjustment"],
        threshold=alarm["Threshold"],
        points=alarm["EvaluationPeriods"],
        cooldown_s=config.get("Cooldown", platform.SCALE_COOLDOWN_S) * minute_s / 60,
    )


def _metric_name(config: Document) -> str:
    """Return the name of the metric that a target-tracking policy follows."""
    predefined: str | None = config.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    customised: str = config.get("CustomizedMetricSpecification", {}).get("MetricName", "")
    return predefined or customised
