"""As much of AWS as a deployment touches, in memory, as strict as AWS where we know how strict that is.

Every call is held against the API's own description (`model_check`) and recorded. moto is the judge of what it covers;
this stands in for what it lacks: UpdateEndpoint, today's instance types, statuses that take time, and refusals.
"""

# ruff: noqa: N803 - parameters have the API's names

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.session import get_session

from fleet.deploy import model_check
from fleet.deploy.steps import Call

ACCOUNT = "123456789012"
REGION = "eu-central-1"
DIGEST = "sha256:" + "a" * 64
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


def refusal(operation: str, code: str, message: str, *, status: int = 400, **headers: str) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }
    return ClientError(answer, operation)


class Cloud:
    """The account; `client` is what boto3 would give."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[tuple[str, str], dict[str, Any]] = {}
        self.alarms: dict[str, dict[str, Any]] = {}
        self.topics: set[str] = set()
        self.images = {("transcriber", "gpu"): DIGEST}
        self.buckets = {"acme-transcripts": REGION, "acme-recordings": REGION, "acme-models": REGION}
        self.roles = {"transcriber": TRUST}
        self.denied: set[str] = set()
        self.fails: dict[str, ClientError] = {}
        self.rolls_back = False
        self.fails_to_start = False
        self.looks_until_at_rest = 0
        self._looks: dict[str, int] = {}
        self._hiccups = 1

    def client(self, service: str) -> Client:
        return Client(self, service)

    def call(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        call = Call(service=service, operation=operation, parameters=parameters, what="", why="")
        assert model_check.faults([call]) == ()
        self.calls.append((service, operation, parameters))
        action = f"{service}:{operation}"
        if action in self.denied:
            message = f"User: arn:aws:iam::{ACCOUNT}:user/me is not authorized to perform: {action} on resource: *"
            raise refusal(
                operation, "AccessDenied" if service == "iam" else "AccessDeniedException", message, status=403
            )
        if operation in self.fails:
            raise self.fails[operation]
        answer: dict[str, Any] = getattr(self, f"_{xform_name(operation)}")(**parameters)
        return answer

    def changes(self) -> list[str]:
        """Operations that changed something."""
        return [name for _, name, _ in self.calls if not re.match(r"(Describe|List|Get|Head)", name)]

    def is_empty(self) -> bool:
        return not any(
            (self.models, self.configs, self.endpoints, self.targets, self.policies, self.alarms, self.topics)
        )

    # --- sagemaker

    def _create_model(self, ModelName: str, Tags: list[dict[str, str]], **said: Any) -> dict[str, Any]:
        arn = self._make("model", self.models, ModelName, said, Tags)
        return {"ModelArn": arn}

    def _create_endpoint_config(
        self,
        EndpointConfigName: str,
        Tags: list[dict[str, str]],
        **said: Any,
    ) -> dict[str, Any]:
        for variant in said["ProductionVariants"]:
            if variant["ModelName"] not in self.models:
                raise refusal(
                    "CreateEndpointConfig", "ValidationException", f"Could not find model {variant['ModelName']}"
                )
        return {"EndpointConfigArn": self._make("endpoint-config", self.configs, EndpointConfigName, said, Tags)}

    def _create_endpoint(
        self,
        EndpointName: str,
        EndpointConfigName: str,
        Tags: list[dict[str, str]],
    ) -> dict[str, Any]:
        assert EndpointConfigName in self.configs
        count = self.configs[EndpointConfigName]["ProductionVariants"][0]["InitialInstanceCount"]
        said = {"status": "Creating", "config": EndpointConfigName, "count": count, "reason": "", "pending": ""}
        arn = self._make("endpoint", self.endpoints, EndpointName, said, Tags)
        self._looks[EndpointName] = self.looks_until_at_rest
        return {"EndpointArn": arn}

    def _update_endpoint(
        self,
        EndpointName: str,
        EndpointConfigName: str,
        RetainAllVariantProperties: bool,
    ) -> dict[str, Any]:
        found = self._endpoint(EndpointName, "UpdateEndpoint")
        if found["status"] != "InService":
            raise refusal("UpdateEndpoint", "ValidationException", "Cannot update in-progress endpoint")
        new, old = (self.configs[name]["ProductionVariants"][0] for name in (EndpointConfigName, found["config"]))
        if new["InstanceType"] != old["InstanceType"] and self._resource(EndpointName) in self.targets:
            raise refusal("UpdateEndpoint", "ValidationException", "variants are configured for autoscaling")
        found.update(status="Updating", pending=EndpointConfigName)
        if not RetainAllVariantProperties:
            found["count"] = new["InitialInstanceCount"]
        self._looks[EndpointName] = self.looks_until_at_rest
        return {"EndpointArn": self._arn("endpoint", EndpointName)}

    def _describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        found = self._endpoint(EndpointName, "DescribeEndpoint")
        if found["status"] in {"Creating", "Updating", "Deleting"}:
            self._rest(EndpointName, found)
        if EndpointName not in self.endpoints:
            raise refusal("DescribeEndpoint", "ValidationException", f'Could not find endpoint "{EndpointName}".')
        answer = {
            "EndpointName": EndpointName,
            "EndpointArn": self._arn("endpoint", EndpointName),
            "EndpointStatus": found["status"],
            "EndpointConfigName": found["config"],
            "ProductionVariants": [{"VariantName": "AllTraffic", "DesiredInstanceCount": found["count"]}],
        }
        if found["reason"]:
            answer["FailureReason"] = found["reason"]
        if found["pending"]:
            answer["PendingDeploymentSummary"] = {"EndpointConfigName": found["pending"]}
        return answer

    def _rest(self, name: str, found: dict[str, Any]) -> None:
        self._looks[name] -= 1
        if self._looks[name] >= 0:
            return
        if found["status"] == "Deleting":
            del self.endpoints[name]
        elif found["status"] == "Creating" and self.fails_to_start:
            found.update(status="Failed", reason="The primary container did not pass the ping health check.")
        elif found["status"] == "Updating" and self.rolls_back:
            found.update(status="InService", pending="", reason="Unable to provision capacity. Retry later.")
        else:
            found.update(status="InService", config=found["pending"] or found["config"], pending="")

    def _delete_endpoint(self, EndpointName: str) -> dict[str, Any]:
        found = self._endpoint(EndpointName, "DeleteEndpoint")
        if found["status"] in {"Creating", "Updating"}:
            raise refusal("DeleteEndpoint", "ValidationException", "Cannot update in-progress endpoint")
        found["status"] = "Deleting"
        self._looks[EndpointName] = self.looks_until_at_rest
        return {}

    def _delete_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        users = [
            name for name, found in self.endpoints.items() if EndpointConfigName in (found["config"], found["pending"])
        ]
        assert not users, f"{EndpointConfigName} is in use"
        self._remove("DeleteEndpointConfig", self.configs, EndpointConfigName)
        return {}

    def _delete_model(self, ModelName: str) -> dict[str, Any]:
        used = [found["ProductionVariants"][0]["ModelName"] for found in self.configs.values()]
        assert ModelName not in used, f"{ModelName} is in use"
        self._remove("DeleteModel", self.models, ModelName)
        return {}

    def _list_models(self, NameContains: str, NextToken: str = "") -> dict[str, Any]:
        names = [name for name in self.models if NameContains in name]
        return {"Models": [{"ModelName": name, "ModelArn": self._arn("model", name)} for name in names]}

    def _list_endpoint_configs(self, NameContains: str, NextToken: str = "") -> dict[str, Any]:
        names = [name for name in self.configs if NameContains in name]
        return {
            "EndpointConfigs": [
                {"EndpointConfigName": name, "EndpointConfigArn": self._arn("endpoint-config", name)} for name in names
            ]
        }

    def _describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        return self.configs[EndpointConfigName]

    def _list_tags(self, ResourceArn: str, NextToken: str = "") -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags[ResourceArn].items()]}

    def _add_tags(self, ResourceArn: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        self.tags[ResourceArn].update({tag["Key"]: tag["Value"] for tag in Tags})
        return {}

    # --- application-autoscaling and cloudwatch

    def _register_scalable_target(self, ResourceId: str, **said: Any) -> dict[str, Any]:
        endpoint = self.endpoints[ResourceId.split("/")[1]]
        assert endpoint["status"] == "InService"
        self.targets[ResourceId] = {**self.targets.get(ResourceId, {}), "ResourceId": ResourceId, **said}
        endpoint["count"] = max(said["MinCapacity"], min(said["MaxCapacity"], endpoint["count"]))
        return {}

    def _deregister_scalable_target(self, ResourceId: str, **_: str) -> dict[str, Any]:
        self._remove("DeregisterScalableTarget", self.targets, ResourceId, code="ObjectNotFoundException")
        self.policies = {key: found for key, found in self.policies.items() if key[0] != ResourceId}
        return {}

    def _describe_scalable_targets(self, ResourceIds: list[str], **_: str) -> dict[str, Any]:
        return {"ScalableTargets": [found for key, found in self.targets.items() if key in ResourceIds]}

    def _put_scaling_policy(self, ResourceId: str, PolicyName: str, **said: Any) -> dict[str, Any]:
        if ResourceId not in self.targets or self._hiccups:
            self._hiccups = 0  # what was registered takes a moment to be known everywhere
            raise refusal("PutScalingPolicy", "ObjectNotFoundException", "No scalable target registered")
        arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:{len(self.policies)}:policyName/{PolicyName}"
        old = self.policies.get((ResourceId, PolicyName), {})
        found = {"ResourceId": ResourceId, "PolicyName": PolicyName, "PolicyARN": old.get("PolicyARN", arn), **said}
        self.policies[ResourceId, PolicyName] = found
        return {"PolicyARN": found["PolicyARN"], "Alarms": []}

    def _describe_scaling_policies(self, ResourceId: str, **_: str) -> dict[str, Any]:
        return {
            "ScalingPolicies": [{**found, "Alarms": []} for key, found in self.policies.items() if key[0] == ResourceId]
        }

    def _delete_scaling_policy(self, ResourceId: str, PolicyName: str, **_: str) -> dict[str, Any]:
        self._remove("DeleteScalingPolicy", self.policies, (ResourceId, PolicyName), code="ObjectNotFoundException")
        return {}

    def _put_metric_alarm(self, AlarmName: str, **said: Any) -> dict[str, Any]:
        for arn in said["AlarmActions"]:
            assert arn in {found["PolicyARN"] for found in self.policies.values()}
        self.alarms[AlarmName] = {"AlarmName": AlarmName, "StateValue": "OK", **said}
        return {}

    def _describe_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        return {"MetricAlarms": [found for name, found in self.alarms.items() if name in AlarmNames]}

    def _delete_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:
        for name in AlarmNames:
            self._remove("DeleteAlarms", self.alarms, name, code="ResourceNotFound")
        return {}

    # --- sns, sts, ecr, iam, s3

    def _create_topic(self, Name: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:{Name}"
        self.topics.add(arn)
        self._add_tags(arn, Tags)
        return {"TopicArn": arn}

    def _tag_resource(self, ResourceArn: str, Tags: list[dict[str, str]]) -> dict[str, Any]:
        return self._add_tags(ResourceArn, Tags)

    def _list_tags_for_resource(self, ResourceArn: str) -> dict[str, Any]:
        if ResourceArn not in self.topics:
            raise refusal("ListTagsForResource", "ResourceNotFoundException", "Resource does not exist", status=404)
        return self._list_tags(ResourceArn)

    def _delete_topic(self, TopicArn: str) -> dict[str, Any]:
        self.topics.discard(TopicArn)
        return {}

    def _get_caller_identity(self) -> dict[str, Any]:
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me"}

    def _describe_images(self, registryId: str, repositoryName: str, imageIds: list[dict[str, str]]) -> dict[str, Any]:
        if repositoryName not in {repository for repository, _ in self.images}:
            raise refusal("DescribeImages", "RepositoryNotFoundException", "The repository does not exist")
        wanted = imageIds[0]
        for (repository, tag), digest in self.images.items():
            if repository == repositoryName and wanted in ({"imageTag": tag}, {"imageDigest": digest}):
                return {"imageDetails": [{"imageDigest": digest, "imageManifestMediaType": "application/vnd.docker"}]}
        raise refusal("DescribeImages", "ImageNotFoundException", "The image does not exist")

    def _get_role(self, RoleName: str) -> dict[str, Any]:
        if RoleName not in self.roles:
            raise refusal("GetRole", "NoSuchEntity", f"The role with name {RoleName} cannot be found.", status=404)
        arn = f"arn:aws:iam::{ACCOUNT}:role/{RoleName}"
        return {"Role": {"Arn": arn, "AssumeRolePolicyDocument": self.roles[RoleName]}}

    def _head_bucket(self, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.buckets:
            raise refusal("HeadBucket", "404", "Not Found", status=404)
        where = self.buckets[Bucket]
        if where != REGION:
            raise refusal("HeadBucket", "301", "Moved Permanently", status=301, **{"x-amz-bucket-region": where})
        return {"BucketRegion": where}

    # --- what they share

    def _make(
        self, kind: str, things: dict[str, Any], name: str, said: dict[str, Any], tags: list[dict[str, str]]
    ) -> str:
        if name in things:
            raise refusal("Create", "ValidationException", f"Cannot create already existing {kind} {name}")
        things[name] = said
        self._add_tags(self._arn(kind, name), tags)
        return self._arn(kind, name)

    def _remove(self, operation: str, things: dict[Any, Any], name: Any, *, code: str = "ValidationException") -> None:
        if name not in things:
            raise refusal(operation, code, f"Could not find {name}")
        del things[name]

    def _endpoint(self, name: str, operation: str) -> dict[str, Any]:
        if name not in self.endpoints:
            raise refusal(operation, "ValidationException", f'Could not find endpoint "{name}".')
        found: dict[str, Any] = self.endpoints[name]
        return found

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"

    def _resource(self, endpoint: str) -> str:
        return f"endpoint/{endpoint}/variant/AllTraffic"


class Client:
    """One service of the account, with boto3's method names."""

    def __init__(self, cloud: Cloud, service: str) -> None:
        self._cloud = cloud
        self._service = service
        self._operations = _operations(service)

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        operation = self._operations[method]
        return lambda **parameters: self._cloud.call(self._service, operation, parameters)

    def get_paginator(self, method: str) -> Pages:
        return Pages(getattr(self, method))


@cache
def _operations(service: str) -> dict[str, str]:
    """From boto3's method names to the API's operations."""
    return {xform_name(name): name for name in get_session().get_service_model(service).operation_names}


class Pages:
    """A paginator over one page."""

    def __init__(self, call: Callable[..., dict[str, Any]]) -> None:
        self._call = call

    def paginate(self, **parameters: Any) -> Iterator[dict[str, Any]]:
        yield self._call(**parameters)
