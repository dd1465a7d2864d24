"""Both errands from end to end: against moto with boto3's own clients, and against refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from moto import mock_aws

from fleet.deploy import commands
from fleet.deploy.commands import DONE, FAILED, Errand, clients_of, deploy, destroy
from fleet.deploy.desired import CannotDeploy, Deployment, Mode
from fleet.deploy.survey import Clients
from tests.fleet.deploy.cloud import REGION, TRUST, Cloud, refusal
from tests.fleet.deploy.wishes import NAMES, Stage, container, results, wish

GO = Errand(inputs="s3://acme-recordings/", shows=False, is_offline=False, as_json=False, waits=True)
SHOW = Errand(inputs=None, shows=True, is_offline=False, as_json=False, waits=True)
MANIFEST = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "layers": []}


@pytest.fixture
def moto() -> Iterator[Clients]:
    with mock_aws():
        client = clients_of(boto3.Session(region_name=REGION))
        client("iam").create_role(RoleName="transcriber", AssumeRolePolicyDocument=json.dumps(TRUST))
        client("ecr").create_repository(repositoryName="transcriber")
        client("ecr").put_image(repositoryName="transcriber", imageTag="gpu", imageManifest=json.dumps(MANIFEST))
        for bucket in ("acme-transcripts", "acme-recordings"):
            client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


def in_moto(**changes: Any) -> Deployment:
    """A wish whose instance type moto knows: its list ends with g4dn."""
    return wish(instance_type="ml.g4dn.xlarge", least=0, **changes)


def run(client: Clients, wanted: Deployment, errand: Errand = GO) -> tuple[int, Stage]:
    stage = Stage(client)
    return deploy(wanted, stage.hands, errand), stage


def tear_down(client: Clients, *, agrees: bool = True, shows: bool = False) -> tuple[int, Stage]:
    stage = Stage(client)
    return destroy("transcriber", REGION, stage.hands, shows=shows, agrees=lambda _: agrees), stage


def test_two_endpoints_are_made_left_and_removed(moto: Clients) -> None:
    made, stage = run(moto, in_moto())
    again, quiet = run(moto, in_moto())

    assert (made, again) == (DONE, DONE)
    assert "--endpoint-name transcriber-realtime" in stage.said
    assert "--input-location s3://acme-recordings/recording.mp3" in stage.said
    assert quiet.told == ["everything is as it should be; nothing to do"]

    config = moto("sagemaker").describe_endpoint(EndpointName="transcriber-async")["EndpointConfigName"]
    said = moto("sagemaker").describe_endpoint_config(EndpointConfigName=config)["AsyncInferenceConfig"]
    assert said["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 8}
    (alarm,) = moto("cloudwatch").describe_alarms(AlarmNames=["transcriber-async-from-zero"])["MetricAlarms"]
    policies = moto("application-autoscaling").describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=NAMES.resource(Mode.ASYNC)
    )["ScalingPolicies"]
    assert alarm["AlarmActions"] == [
        policy["PolicyARN"] for policy in policies if policy["PolicyType"] == "StepScaling"
    ]

    removed, stage = tear_down(moto)
    assert removed == DONE
    assert stage.told[-1] == f"nothing of transcriber is left in {REGION}"
    assert tear_down(moto)[1].told == [f"nothing of transcriber is in {REGION}"]
    assert moto("sagemaker").list_models()["Models"] == []
    assert moto("sagemaker").list_endpoint_configs()["EndpointConfigs"] == []
    assert moto("sns").list_topics()["Topics"] == []
    assert len(moto("s3").list_buckets()["Buckets"]) == 2


def test_a_dry_run_looks_and_changes_nothing(cloud: Cloud) -> None:
    status, stage = run(cloud.client, wish(least=0), SHOW)

    assert status == DONE
    assert cloud.changes() == []
    assert "MaxConcurrentInvocationsPerInstance = 8" in stage.told[0]


def test_offline_no_call_is_made_at_all(cloud: Cloud) -> None:
    status, stage = run(
        cloud.client, wish(), Errand(inputs=None, shows=True, is_offline=True, as_json=True, waits=True)
    )

    assert (status, cloud.calls) == (DONE, [])
    assert [step["operation"] for step in json.loads(stage.told[0]) if "operation" in step][:2] == ["CreateTopic"] * 2


def test_faults_are_told_and_nothing_is_made(cloud: Cloud) -> None:
    cloud.images.clear()
    del cloud.buckets["acme-transcripts"]
    status, stage = run(cloud.client, wish())

    assert status == FAILED
    assert len(stage.warned) == 3
    assert stage.warned[-1] == "nothing was changed"
    assert cloud.changes() == []


def test_what_no_api_takes_is_refused_before_anything_is_asked(cloud: Cloud) -> None:
    with pytest.raises(CannotDeploy, match=r"AWS knows no ml\.g6\.2xlrge; did you mean ml\.g6\.2xlarge"):
        run(cloud.client, wish(instance_type="ml.g6.2xlrge"))
    assert cloud.calls == []


def test_a_failure_half_way_tells_what_was_made_and_how_to_remove_it(cloud: Cloud) -> None:
    cloud.denied.add("application-autoscaling:RegisterScalableTarget")
    status, stage = run(cloud.client, wish(modes=(Mode.REALTIME,)))

    assert status == FAILED
    assert "[5/6] scaling of transcriber-realtime failed" in stage.warned[0]
    assert "may not application-autoscaling:RegisterScalableTarget" in stage.warned[0]
    assert stage.warned[1].endswith(", endpoint transcriber-realtime")
    assert stage.warned[-1] == f"to take it back: scripts/destroy.py --name transcriber --region {REGION}"

    cloud.denied.clear()
    assert run(cloud.client, wish(modes=(Mode.REALTIME,)))[0] == DONE


def test_an_interruption_tells_the_same(cloud: Cloud) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    cloud.looks_until_at_rest = 3
    stage = Stage(cloud.client)
    hands = commands.Hands(
        client=cloud.client, tell=stage.told.append, warn=stage.warned.append, clock=lambda: 0.0, sleep=interrupt
    )

    assert deploy(wish(modes=(Mode.REALTIME,)), hands, GO) == FAILED
    assert stage.warned[0] == "interrupted"
    assert "endpoint transcriber-realtime" in stage.warned[1]


def test_without_waiting_the_rest_is_announced(cloud: Cloud) -> None:
    status, stage = run(
        cloud.client, wish(), Errand(inputs=None, shows=False, is_offline=False, as_json=False, waits=False)
    )

    assert status == DONE
    assert "run the same command again then" in stage.told[-1]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "no AWS credentials that work (Unable to locate credentials); run aws configure"),
        (EndpointConnectionError(endpoint_url="https://sts"), f"is {REGION} a region, and is there a network?"),
        (refusal("GetCallerIdentity", "ExpiredToken", "The security token is expired"), "get new ones"),
    ],
)
def test_an_aws_that_cannot_be_asked_is_told_in_a_sentence(error: Exception, sentence: str) -> None:
    def nobody(_: str) -> Any:
        raise error

    status, stage = run(nobody, wish())

    assert status == FAILED
    assert sentence in stage.warned[0]
    assert tear_down(nobody)[0] == FAILED


def test_destroy_asks_before_it_removes(cloud: Cloud) -> None:
    run(cloud.client, wish(least=0))
    before = len(cloud.changes())

    assert tear_down(cloud.client, agrees=False)[0] == FAILED
    assert tear_down(cloud.client, shows=True)[0] == DONE
    assert len(cloud.changes()) == before


def test_destroy_that_is_refused_tells_what_is_still_there(cloud: Cloud) -> None:
    run(cloud.client, wish(least=0))
    cloud.denied.add("sagemaker:DeleteModel")
    status, stage = tear_down(cloud.client)

    assert status == FAILED
    assert "may not sagemaker:DeleteModel" in stage.said
    assert any(line.startswith("still there: model transcriber-") for line in stage.warned)


def test_given_topics_are_used_and_never_removed(cloud: Cloud) -> None:
    theirs = "arn:aws:sns:eu-central-1:123456789012:theirs"
    cloud.topics.add(theirs)
    run(cloud.client, wish(puts=results(success_topic=theirs, error_topic=None), run=container(environment={})))
    tear_down(cloud.client)

    assert cloud.topics == {theirs}
