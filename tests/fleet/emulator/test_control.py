"""The control plane, and the life of instances, through boto3."""

from __future__ import annotations

import json
import signal
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fleet.emulator.container import Call, ask
from fleet.emulator.process import ServeProcess
from tests.fleet.emulator.conftest import BUCKET, CONTAINER, ROLE, Aws
from tests.patience import wait_until


def environ(aws: Aws, name: str) -> dict[str, str]:
    answer = aws.runtime.invoke_endpoint(EndpointName=name, Body=b"x")["Body"].read()
    found: dict[str, str] = json.loads(answer)["environ"]
    return found


def test_what_was_created_is_described_and_listed_as_it_was(aws: Aws) -> None:
    model = aws.model(MODEL_ID="demo")
    config = aws.config(model=model)

    described = aws.sagemaker.describe_model(ModelName=model)
    variant = aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]

    assert described["PrimaryContainer"] == {"Image": "transcriber:cpu", "Environment": {"MODEL_ID": "demo"}}
    assert variant["InstanceType"] == "ml.g6.xlarge"
    assert model in [one["ModelName"] for one in aws.sagemaker.list_models(NameContains=model)["Models"]]
    names = [one["EndpointConfigName"] for one in aws.sagemaker.list_endpoint_configs()["EndpointConfigs"]]
    assert config in names


def test_deleted_things_are_gone(aws: Aws) -> None:
    config = aws.config()
    aws.sagemaker.delete_endpoint_config(EndpointConfigName=config)

    with pytest.raises(ClientError, match=f"Could not find endpoint configuration .*{config}"):
        aws.sagemaker.describe_endpoint_config(EndpointConfigName=config)


def test_name_that_is_taken_is_refused(aws: Aws) -> None:
    model = aws.model()

    with pytest.raises(ClientError, match="Cannot create already existing model"):
        aws.sagemaker.create_model(ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "x"})


def test_thing_of_another_region_is_pointed_at(aws: Aws) -> None:
    model = aws.model()

    with pytest.raises(ClientError, match="There is one in eu-central-1"):
        aws.client("sagemaker", "us-east-1").describe_model(ModelName=model)


def test_model_data_is_refused_with_what_to_do(aws: Aws) -> None:
    with pytest.raises(ClientError, match="name the model by MODEL_ID"):
        aws.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "x", "ModelDataUrl": "s3://b/m.tar.gz"}
        )


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"InferenceAmiVersion": "bogus"}, "inferenceAmiVersion"),
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}, "leave ServerlessConfig out"),
    ],
)
def test_configuration_that_cannot_run_is_refused(aws: Aws, variant: dict[str, Any], expected: str) -> None:
    given = {"VariantName": "v", "ModelName": aws.model(), "InitialInstanceCount": 1, "InstanceType": "ml.g5.xlarge"}

    with pytest.raises(ClientError, match=expected):
        aws.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[{**given, **variant}])


def test_tags_are_kept(aws: Aws) -> None:
    arn = aws.sagemaker.describe_model(ModelName=aws.model())["ModelArn"]
    aws.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "speech"}, {"Key": "x", "Value": "y"}])
    aws.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["x"])

    assert aws.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "speech"}]


def test_endpoint_whose_container_cannot_start_fails_with_its_last_words(aws: Aws) -> None:
    name = f"e-{uuid.uuid4()}"
    config = aws.config(model=aws.model(FAIL_AT_START="1"))
    aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)

    wait_until(lambda: aws.status(name) == "Failed", "failure")
    reason = aws.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]

    assert "did not pass the ping health check" in reason
    assert "the weights are missing" in reason
    with pytest.raises(ClientError, match=r"not found\. It is Failed"):
        aws.runtime.invoke_endpoint(EndpointName=name, Body=b"x")


def test_isolated_container_is_told_of_no_service(aws: Aws) -> None:
    model = f"m-{uuid.uuid4()}"
    aws.sagemaker.create_model(
        ModelName=model, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "x"}, EnableNetworkIsolation=True
    )
    name = aws.endpoint(aws.config(model=model))

    assert not {"AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"} & environ(aws, name).keys()
    assert aws.sagemaker.describe_model(ModelName=model)["EnableNetworkIsolation"] is True
    aws.delete(name)


def test_update_brings_new_instances_and_a_bad_one_is_rolled_back(aws: Aws) -> None:
    name = aws.endpoint(aws.config(model=aws.model(VERSION="1")))

    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config(model=aws.model(VERSION="2")))
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config())
    aws.wait_in_service(name)
    assert environ(aws, name)["VERSION"] == "2"

    aws.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=aws.config(model=aws.model(FAIL_AT_START="1")))
    aws.wait_in_service(name)
    assert "rolled back" in aws.sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert environ(aws, name)["VERSION"] == "2"
    aws.delete(name)


def test_number_of_instances_can_be_changed(aws: Aws) -> None:
    name = aws.endpoint()

    for count in (2, 1):
        wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
        aws.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
        aws.wait_in_service(name)
        assert aws.instances(name) == count
    aws.delete(name)
    wait_until(lambda: name not in [one["EndpointName"] for one in aws.sagemaker.list_endpoints()["Endpoints"]], "end")


@pytest.mark.parametrize("command", [{"die": True}, {"ill": True}])
def test_instance_that_dies_or_falls_ill_is_replaced(aws: Aws, command: dict[str, Any]) -> None:
    name = aws.endpoint()
    port = environ(aws, name)["SAGEMAKER_BIND_TO_PORT"]

    with suppress(ClientError):  # one that dies cannot answer
        aws.runtime.invoke_endpoint(EndpointName=name, Body=json.dumps(command).encode())

    def replaced() -> bool:
        try:
            return environ(aws, name)["SAGEMAKER_BIND_TO_PORT"] != port
        except ClientError:
            return False

    wait_until(replaced, "another instance")
    aws.delete(name)


def test_container_that_ignores_sigterm_is_killed_and_leaves_nothing(tmp_path: Path) -> None:
    server = ServeProcess(
        [sys.executable, str(CONTAINER), "serve"],
        {"IGNORE_SIGTERM": "1"},
        scratch=tmp_path / "scratch",
        tell_line=lambda _line: None,
    )
    call = Call(method="GET", path="/ping", headers={}, timeout_s=10, accept_s=10)

    def healthy() -> bool:
        try:
            return ask(server.address, call).status == 200
        except Exception:  # noqa: BLE001 - it does not listen yet
            return False

    server.start()
    wait_until(healthy, "ping")
    server.stop(kill_s=0.2)

    assert f"status {-signal.SIGKILL}" in str(server.ended())
    assert not list(tmp_path.iterdir())


def test_other_services_are_moto_s_behind_the_same_address(aws: Aws) -> None:
    sts = aws.client("sts").get_caller_identity()
    aws.client("ecr").create_repository(repositoryName=f"r-{uuid.uuid4()}")
    aws.client("iam").create_role(RoleName=f"r-{uuid.uuid4()}", AssumeRolePolicyDocument="{}")

    assert sts["Account"] == "123456789012"
    assert BUCKET in [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]]
    with pytest.raises(ClientError):
        aws.sagemaker.describe_training_job(TrainingJobName="none")
