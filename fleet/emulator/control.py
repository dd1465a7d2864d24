"""SageMaker's control plane: models, endpoint configurations, endpoints and transform jobs.

Parameters are checked against the service model that botocore carries, so instance types, machine images and limits are
those of today; documents are kept and given back as they came.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from fleet.emulator import constraints, transform_plan
from fleet.emulator.autoscaling import Autoscaler
from fleet.emulator.aws import ACCOUNT
from fleet.emulator.endpoint import Endpoint, Status
from fleet.emulator.refusals import InUse, InvalidCall, InvalidInvocation, NotFound
from fleet.emulator.shelf import Shelf
from fleet.emulator.transform import TransformJob
from fleet.emulator.world import World, arn

Document = Mapping[str, Any]
Operation = Callable[[str, Document], dict[str, Any]]


class Control:
    """The operations that the emulator answers itself; every other one is moto's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.RLock()
        self._models: Shelf[dict[str, Any]] = Shelf("model")
        self._configs: Shelf[dict[str, Any]] = Shelf("endpoint-config", "endpoint configuration")
        self._endpoints: Shelf[Endpoint] = Shelf("endpoint")
        self._jobs: Shelf[TransformJob] = Shelf("transform-job", "transform job")
        self._tags: dict[str, dict[str, str]] = {}
        self._scalers: dict[Endpoint, Autoscaler] = {}
        self._operations: dict[str, Operation] = {
            "CreateModel": self._create_model,
            "DescribeModel": lambda region, asked: self._models.get(region, asked["ModelName"]),
            "ListModels": lambda region, asked: {"Models": self._list(self._models, region, asked, "Model")},
            "DeleteModel": lambda region, asked: self._delete(self._models, region, asked["ModelName"]),
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": lambda region, asked: self._configs.get(region, asked["EndpointConfigName"]),
            "ListEndpointConfigs": lambda region, asked: {
                "EndpointConfigs": self._list(self._configs, region, asked, "EndpointConfig")
            },
            "DeleteEndpointConfig": lambda region, asked: self._delete(
                self._configs, region, asked["EndpointConfigName"]
            ),
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": self._describe_endpoint,
            "ListEndpoints": self._list_endpoints,
            "UpdateEndpoint": self._update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._resize_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
            "CreateTransformJob": self._create_job,
            "DescribeTransformJob": self._describe_job,
            "ListTransformJobs": self._list_jobs,
            "StopTransformJob": self._stop_job,
            "AddTags": self._add_tags,
            "ListTags": lambda _region, asked: {"Tags": _tag_list(self._tags.get(asked["ResourceArn"], {}))},
            "DeleteTags": self._delete_tags,
        }

    @property
    def operations(self) -> frozenset[str]:
        """The names of the operations that are answered here."""
        return frozenset(self._operations)

    def call(self, operation: str, region: str, asked: Document) -> dict[str, Any]:
        """Do one operation.

        Raises:
            Refusal: It was not done, and why.
        """
        model = constraints.operation("sagemaker", operation)
        if model is not None and model.input_shape is not None:
            found = list(constraints.violations(model.input_shape, asked))
            if found:
                raise InvalidCall(constraints.summary(found))
        with self._lock:
            return self._operations[operation](region, asked)

    def endpoint(self, region: str, name: str) -> Endpoint:
        """Return an endpoint that takes invocations.

        Raises:
            InvalidInvocation: There is none of this name here, or it does not take any.
        """
        with self._lock:
            endpoint = self._endpoints.find(region, name)
        if endpoint is None or not endpoint.serving:
            elsewhere = self._endpoints.elsewhere(region, name)
            hint = f" There is one in {elsewhere}." if endpoint is None and elsewhere else ""
            state = f" It is {endpoint.status}." if endpoint else ""
            raise InvalidInvocation(f"Endpoint {name} of account {ACCOUNT} not found.{state}{hint}")
        return endpoint

    @property
    def endpoints(self) -> list[Endpoint]:
        """All endpoints there are."""
        with self._lock:
            return self._endpoints.all()

    def scale(self) -> None:
        """Let autoscaling look at every endpoint once."""
        for endpoint in self.endpoints:
            self._scalers.setdefault(endpoint, Autoscaler(endpoint, self._world)).look()

    def close(self) -> None:
        """End all endpoints and jobs."""
        with self._lock:
            jobs = self._jobs.all()
        for job in jobs:
            job.stop()
        closing = [threading.Thread(target=endpoint.close, daemon=True) for endpoint in self.endpoints]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        for job in jobs:
            job.join()

    # --- models

    def _create_model(self, region: str, asked: Document) -> dict[str, Any]:
        container = asked.get("PrimaryContainer")
        if container is None:
            raise InvalidCall("This emulator runs one container: give PrimaryContainer, not Containers.")
        if container.get("ModelDataUrl") or container.get("ModelDataSource"):
            raise InvalidCall(
                "This emulator has no /opt/ml/model to put model data into: leave ModelDataUrl and ModelDataSource out"
                " and name the model by MODEL_ID in Environment, for example a folder on this machine."
            )
        if not container.get("Image"):
            raise InvalidCall("PrimaryContainer names no Image.")
        name = asked["ModelName"]
        made = {"ModelArn": arn(region, "model", name)}
        kept = {name: value for name, value in asked.items() if name != "Tags"}
        self._models.put(region, name, {**kept, **made, "CreationTime": time.time()})
        self._tag(made["ModelArn"], asked)
        return made

    # --- endpoint configurations

    def _create_config(self, region: str, asked: Document) -> dict[str, Any]:
        if len(asked["ProductionVariants"]) != 1 or asked.get("ShadowProductionVariants"):
            raise InvalidCall("This emulator runs one production variant, and no shadow of it.")
        variant = asked["ProductionVariants"][0]
        for absent in ("ServerlessConfig", "ManagedInstanceScaling"):
            if absent in variant:
                raise InvalidCall(f"This emulator runs plain instances; leave {absent} out.")
        if not variant.get("ModelName"):
            raise InvalidCall("This emulator runs no inference components: the production variant must name a model.")
        if not variant.get("InitialInstanceCount"):
            raise InvalidCall(f"Production variant {variant['VariantName']} has no InitialInstanceCount.")
        self._models.get(region, variant["ModelName"])
        name = asked["EndpointConfigName"]
        made = {"EndpointConfigArn": arn(region, "endpoint-config", name)}
        kept = {name: value for name, value in asked.items() if name != "Tags"}
        self._configs.put(region, name, {**kept, **made, "CreationTime": time.time()})
        self._tag(made["EndpointConfigArn"], asked)
        return made

    # --- endpoints

    def _create_endpoint(self, region: str, asked: Document) -> dict[str, Any]:
        name = asked["EndpointName"]
        config = self._configs.get(region, asked["EndpointConfigName"])
        model = self._model_of(region, config)
        self._endpoints.refuse_taken(region, name)
        endpoint = Endpoint(region, name, config, model, self._world)
        self._endpoints.put(region, name, endpoint)
        self._tag(endpoint.arn, asked)
        return {"EndpointArn": endpoint.arn}

    def _describe_endpoint(self, region: str, asked: Document) -> dict[str, Any]:
        endpoint = self._endpoints.get(region, asked["EndpointName"])
        variant, group = endpoint.variant, endpoint.group
        weight = variant.get("InitialVariantWeight", 1.0)
        summary = {
            "VariantName": variant["VariantName"],
            "DeployedImages": [{"SpecifiedImage": endpoint.model["PrimaryContainer"]["Image"]}],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": group.ready,
            "DesiredInstanceCount": group.desired,
            **{name: variant[name] for name in ("RoutingConfig",) if name in variant},
        }
        found: dict[str, Any] = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config["EndpointConfigName"],
            "ProductionVariants": [summary],
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created_s,
            "LastModifiedTime": endpoint.modified_s,
            **{
                name: endpoint.config[name]
                for name in ("AsyncInferenceConfig", "MetricsConfig")
                if name in endpoint.config
            },
        }
        if endpoint.failure:
            found["FailureReason"] = endpoint.failure[:1024]
        return found

    def _list_endpoints(self, region: str, asked: Document) -> dict[str, Any]:
        endpoints = [one for one in self._endpoints.all(region) if asked.get("NameContains", "") in one.name]
        return {
            "Endpoints": [
                {
                    "EndpointName": one.name,
                    "EndpointArn": one.arn,
                    "CreationTime": one.created_s,
                    "LastModifiedTime": one.modified_s,
                    "EndpointStatus": one.status,
                }
                for one in endpoints
                if one.status == asked.get("StatusEquals", one.status)
            ]
        }

    def _update_endpoint(self, region: str, asked: Document) -> dict[str, Any]:
        endpoint = self._idle_endpoint(region, asked["EndpointName"])
        config = self._configs.get(region, asked["EndpointConfigName"])
        if ("AsyncInferenceConfig" in config) != (endpoint.desk is not None):
            raise InvalidCall("An endpoint cannot change between real-time and asynchronous; create another.")
        endpoint.update(config, self._model_of(region, config))
        return {"EndpointArn": endpoint.arn}

    def _resize_endpoint(self, region: str, asked: Document) -> dict[str, Any]:
        endpoint = self._idle_endpoint(region, asked["EndpointName"])
        for wanted in asked["DesiredWeightsAndCapacities"]:
            if wanted["VariantName"] != endpoint.variant["VariantName"]:
                raise InvalidCall(f"Endpoint {endpoint.name} has no production variant {wanted['VariantName']}.")
            count = wanted.get("DesiredInstanceCount")
            if count is not None:
                endpoint.resize(count)
        return {"EndpointArn": endpoint.arn}

    def _delete_endpoint(self, region: str, asked: Document) -> dict[str, Any]:
        name = asked["EndpointName"]
        endpoint = self._endpoints.get(region, name)
        if endpoint.status is Status.DELETING:
            raise InvalidCall(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        endpoint.status = Status.DELETING

        def end() -> None:
            endpoint.close()
            with self._lock:
                self._endpoints.drop(region, name)
                self._scalers.pop(endpoint, None)

        threading.Thread(target=end, name=f"deleting {name}", daemon=True).start()
        return {}

    def _idle_endpoint(self, region: str, name: str) -> Endpoint:
        endpoint = self._endpoints.get(region, name)
        if endpoint.status is not Status.IN_SERVICE:
            raise InvalidCall(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    def _model_of(self, region: str, config: Document) -> dict[str, Any]:
        return self._models.get(region, config["ProductionVariants"][0]["ModelName"])

    # --- transform jobs

    def _create_job(self, region: str, asked: Document) -> dict[str, Any]:
        transform_plan.check(asked)
        name = asked["TransformJobName"]
        if self._jobs.find(region, name) is not None:
            raise InUse(f'Job name must be unique: "{arn(region, "transform-job", name)}" exists.')
        job = TransformJob(region, asked, self._models.get(region, asked["ModelName"]), self._world)
        self._jobs.put(region, name, job)
        self._tag(job.arn, asked)
        job.start()
        return {"TransformJobArn": job.arn}

    def _describe_job(self, region: str, asked: Document) -> dict[str, Any]:
        job = self._job(region, asked)
        times = {"TransformStartTime": job.started_s, "TransformEndTime": job.ended_s}
        return {
            **{name: value for name, value in job.asked.items() if name != "Tags"},
            "TransformJobArn": job.arn,
            "TransformJobStatus": job.status,
            "CreationTime": job.created_s,
            **({"FailureReason": job.failure[:1024]} if job.failure else {}),
            **{name: value for name, value in times.items() if value is not None},
        }

    def _list_jobs(self, region: str, asked: Document) -> dict[str, Any]:
        return {
            "TransformJobSummaries": [
                {
                    "TransformJobName": job.name,
                    "TransformJobArn": job.arn,
                    "CreationTime": job.created_s,
                    "TransformJobStatus": job.status,
                }
                for job in self._jobs.all(region)
                if asked.get("NameContains", "") in job.name and job.status == asked.get("StatusEquals", job.status)
            ]
        }

    def _stop_job(self, region: str, asked: Document) -> dict[str, Any]:
        self._job(region, asked).stop()
        return {}

    def _job(self, region: str, asked: Document) -> TransformJob:
        job = self._jobs.find(region, asked["TransformJobName"])
        if job is None:
            raise NotFound(f"Could not find requested job with name: {asked['TransformJobName']}")
        return job

    # --- tags

    def _tag(self, resource: str, asked: Document) -> None:
        self._tags[resource] = {tag["Key"]: tag["Value"] for tag in asked.get("Tags", [])}

    def _add_tags(self, _region: str, asked: Document) -> dict[str, Any]:
        tags = self._tags.setdefault(asked["ResourceArn"], {})
        tags.update({tag["Key"]: tag["Value"] for tag in asked["Tags"]})
        return {"Tags": _tag_list(tags)}

    def _delete_tags(self, _region: str, asked: Document) -> dict[str, Any]:
        for key in asked["TagKeys"]:
            self._tags.get(asked["ResourceArn"], {}).pop(key, None)
        return {}

    # --- what models and configurations have in common

    def _list(self, shelf: Shelf[dict[str, Any]], region: str, asked: Document, kind: str) -> list[dict[str, Any]]:
        return [
            {name: one[name] for name in (f"{kind}Name", f"{kind}Arn", "CreationTime")}
            for one in shelf.all(region)
            if asked.get("NameContains", "") in one[f"{kind}Name"]
        ]

    def _delete(self, shelf: Shelf[dict[str, Any]], region: str, name: str) -> dict[str, Any]:
        shelf.get(region, name)
        shelf.drop(region, name)
        return {}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
