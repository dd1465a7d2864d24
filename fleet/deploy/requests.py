"""A deployment in SageMaker's words: the parameters of each call that makes a part of it.

Pure. Models and endpoint configurations cannot be changed once they are made, so their names end in a hash of what they
say: the same wish has the same name, and another wish has another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fleet.deploy import platform_facts
from fleet.deploy.desired import OWNER_TAG, Deployment, Endpoint, Mode, Results
from fleet.platform import METRICS_NAMESPACE, SCALE_COOLDOWN_S

Parameters = Mapping[str, Any]  # boto3's requests: each operation has a shape of its own
"""Of one call, by the API's names."""

HASH_DIGITS = 10
"""Hexadecimal digits of a content hash: a chance of one in a million to meet itself among 1,400 wishes."""

SCALED = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
"""What Application Auto Scaling calls instances of an endpoint."""


def tags(wanted: Deployment) -> list[dict[str, str]]:
    """Return the tags of everything that is made."""
    return [{"Key": key, "Value": value} for key, value in {**wanted.tags, OWNER_TAG: wanted.names.deployment}.items()]


def model(wanted: Deployment) -> Parameters:
    """Return the parameters of CreateModel."""
    container = wanted.container
    holding: dict[str, Any] = {"Image": container.image, "Environment": dict(sorted(container.environment.items()))}
    if container.model_data and container.model_data.endswith(".tar.gz"):
        holding["ModelDataUrl"] = container.model_data
    elif container.model_data:
        source = {"S3Uri": container.model_data, "S3DataType": "S3Prefix", "CompressionType": "None"}
        holding["ModelDataSource"] = {"S3DataSource": source}
    said: dict[str, Any] = {
        "PrimaryContainer": holding,
        "ExecutionRoleArn": container.role,
        "EnableNetworkIsolation": container.is_isolated,
    }
    if container.subnets:
        said["VpcConfig"] = {
            "Subnets": list(container.subnets),
            "SecurityGroupIds": list(container.security_groups),
        }
    return {"ModelName": f"{wanted.names.deployment}-{_hash(said)}", **said, "Tags": tags(wanted)}


def endpoint_config(wanted: Deployment, endpoint: Endpoint) -> Parameters:
    """Return the parameters of CreateEndpointConfig.

    The number of instances to begin with is no part of its hash: from then on scaling decides, and another --min must
    not replace a running fleet.
    """
    instances = wanted.instances
    variant: dict[str, Any] = {
        "VariantName": platform_facts.VARIANT,
        "ModelName": model(wanted)["ModelName"],
        "InstanceType": instances.type,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": instances.startup_timeout_s,
    }
    if wanted.container.model_data:
        variant["ModelDataDownloadTimeoutInSeconds"] = instances.download_timeout_s
    if instances.machine_image:
        variant["InferenceAmiVersion"] = instances.machine_image
    if endpoint.mode is Mode.REALTIME:
        variant["RoutingConfig"] = {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}
    said: dict[str, Any] = {"ProductionVariants": [variant]}
    if instances.volume_key:
        said["KmsKeyId"] = instances.volume_key
    if endpoint.results:
        said["AsyncInferenceConfig"] = _results(endpoint.results)
    name = f"{wanted.names.endpoint(endpoint.mode)}-{_hash(said)}"
    begun = {**variant, "InitialInstanceCount": max(1, endpoint.scaling.least)}
    return {**said, "EndpointConfigName": name, "ProductionVariants": [begun], "Tags": tags(wanted)}


def _results(results: Results) -> Parameters:
    output: dict[str, Any] = {"S3OutputPath": results.folder, "S3FailurePath": results.failures}
    if results.key:
        output["KmsKeyId"] = results.key
    topics = {"SuccessTopic": results.success_topic, "ErrorTopic": results.error_topic}
    if any(topics.values()):
        output["NotificationConfig"] = {kind: topic for kind, topic in topics.items() if topic}
    return {
        "OutputConfig": output,
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": results.jobs_at_once},
    }


def scalable_target(wanted: Deployment, endpoint: Endpoint) -> Parameters:
    """Return the parameters of RegisterScalableTarget."""
    return {
        **SCALED,
        "ResourceId": wanted.names.resource(endpoint.mode),
        "MinCapacity": endpoint.scaling.least,
        "MaxCapacity": endpoint.scaling.most,
    }


def tracking_policy(wanted: Deployment, endpoint: Endpoint) -> Parameters:
    """Return the parameters of PutScalingPolicy for the policy that follows the load.

    Real-time: requests in flight on an instance, measured every ten seconds, so that an hour's worth of requests counts
    while it is worked on and not when it is through. Asynchronous: jobs queued or worked on, for each instance; such an
    endpoint publishes no metric of invocations.
    """
    if endpoint.mode is Mode.REALTIME:
        followed: dict[str, Any] = {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
            }
        }
    else:
        followed = {
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": METRICS_NAMESPACE,
                "Dimensions": _dimensions(wanted, endpoint),
                "Statistic": "Average",
            }
        }
    return {
        **SCALED,
        "PolicyName": wanted.names.tracking_policy(endpoint.mode),
        "ResourceId": wanted.names.resource(endpoint.mode),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(endpoint.scaling.target),
            **followed,
            "ScaleOutCooldown": endpoint.scaling.out_cooldown_s,
            "ScaleInCooldown": endpoint.scaling.in_cooldown_s,
        },
    }


def wake_policy(wanted: Deployment, endpoint: Endpoint) -> Parameters | None:
    """Return the parameters of PutScalingPolicy for the step from zero to one; None where there is never zero.

    With no instance there is no backlog per instance. Without this policy the first job would wait until the backlog
    exceeds the other policy's target.
    """
    if endpoint.scaling.least > 0:
        return None
    return {
        **SCALED,
        "PolicyName": wanted.names.wake_policy,
        "ResourceId": wanted.names.resource(endpoint.mode),
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": int(SCALE_COOLDOWN_S),
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }


def wake_alarm(wanted: Deployment, endpoint: Endpoint, *, action: object) -> Parameters:
    """Return the parameters of PutMetricAlarm for the alarm that triggers the wake policy.

    Args:
        wanted: The deployment.
        endpoint: Its asynchronous endpoint.
        action: ARN of the wake policy, or what stands for it while the policy is not made yet.
    """
    return {
        "AlarmName": wanted.names.wake_policy,
        "AlarmDescription": f"jobs wait for {wanted.names.endpoint(endpoint.mode)}, which has no instance",
        "Namespace": METRICS_NAMESPACE,
        "MetricName": "HasBacklogWithoutCapacity",
        "Dimensions": _dimensions(wanted, endpoint),
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 2,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [action],
        "Tags": tags(wanted),
    }


def _dimensions(wanted: Deployment, endpoint: Endpoint) -> list[dict[str, str]]:
    return [{"Name": "EndpointName", "Value": wanted.names.endpoint(endpoint.mode)}]


def _hash(said: Parameters) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]
