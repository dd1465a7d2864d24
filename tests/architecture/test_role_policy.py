"""The execution role can do what the service needs, and nothing else."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.session import get_session
from moto import mock_aws

from tests.conftest import ROOT
from tests.policies import grants
from transcriber.audio.disk import Disk
from transcriber.audio.fetch import Fetcher
from transcriber.audio.sources import S3Object
from transcriber.settings import load

TEXT = (ROOT / "sagemaker-role-policy.json").read_text("utf-8")
STATEMENTS: list[dict[str, Any]] = json.loads(TEXT)["Statement"]
PAGE = (ROOT / "docs" / "iam.md").read_text("utf-8")

NEEDS = {
    "cloudwatch:PutMetricData",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
    "s3:AbortMultipartUpload",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "sns:Publish",
}

ON_ANYTHING = {
    "ecr:GetAuthorizationToken",  # a registry's token belongs to no repository
    "cloudwatch:PutMetricData",  # metrics have no ARN
}

CALLED_OTHERWISE = {"HeadObject": "GetObject"}
"""Operations of S3 whose permission has another name."""

HARMLESS = {"close", "meta", "exceptions"}
"""Attributes of a client that send nothing."""

ARN = r"arn:aws:(?P<service>[a-z0-9]+):(?:REGION)?:(?:ACCOUNT_ID)?:\S+"


def test_role_may_do_what_the_service_needs_and_no_more() -> None:
    assert {action for action, _ in grants(STATEMENTS)} == NEEDS


def speaking() -> Iterator[ast.Module]:
    """Parse the files of the container that know AWS's libraries."""
    for path in (
        ROOT / "app.py",
        ROOT / "inference.py",
        ROOT / "gunicorn.conf.py",
        *(ROOT / "transcriber").rglob("*.py"),
    ):
        text = path.read_text("utf-8")
        if "boto" in text:
            yield ast.parse(text)


def test_container_speaks_to_no_service_but_s3() -> None:
    calls = [
        node
        for module in speaking()
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    made = [call for call in calls if getattr(call.func, "attr", "") in {"client", "resource", "create_client"}]

    assert [ast.literal_eval(call.args[0]) for call in made] == ["s3"]


def test_role_may_do_every_call_that_the_container_makes() -> None:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    operations = {xform_name(name): name for name in get_session().get_service_model("s3").operation_names}
    others = {name for name in dir(client) if not name.startswith("_")} - set(operations) - HARMLESS
    named = {node.attr for module in speaking() for node in ast.walk(module) if isinstance(node, ast.Attribute)}
    called = {operations[name] for name in named & set(operations)}

    assert not named & others, "transfers, paginators and waiters make calls of their own"
    assert called
    assert {f"s3:{CALLED_OTHERWISE.get(name, name)}" for name in called} <= {action for action, _ in grants(STATEMENTS)}


@mock_aws
def test_fetching_makes_the_calls_that_the_policy_is_for_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3 sends in truth: a call may lead to others."""
    for name, value in {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    fetcher = Fetcher(load({}), disk=Disk(1_000))
    client = fetcher._connected()
    client.create_bucket(Bucket="recordings")
    client.put_object(Bucket="recordings", Key="a.wav", Body=b"RIFF")
    sent: list[str] = []
    client.meta.events.register("before-call.*.*", lambda model, **_: sent.append(model.name))

    with fetcher.open(S3Object(bucket="recordings", key="a.wav")) as file:
        assert file.read() == b"RIFF"
    assert {f"s3:{CALLED_OTHERWISE.get(name, name)}" for name in sent} == {"s3:GetObject"}


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.get("Sid", "without Sid"))
def test_every_statement_has_a_name_that_the_page_explains(statement: dict[str, Any]) -> None:
    assert statement["Effect"] == "Allow"
    assert re.fullmatch(r"[A-Za-z0-9]+", statement["Sid"])
    assert f"| `{statement['Sid']}` |" in PAGE


def test_no_two_statements_share_a_name() -> None:
    names = [statement["Sid"] for statement in STATEMENTS]

    assert len(set(names)) == len(names)


def test_everything_is_granted_only_where_aws_demands_it() -> None:
    assert {action for action, resource in grants(STATEMENTS) if resource == "*"} == ON_ANYTHING


@pytest.mark.parametrize(("action", "resource"), [grant for grant in grants(STATEMENTS) if grant[1] != "*"])
def test_every_resource_is_one_of_the_service_that_the_action_is_of(action: str, resource: str) -> None:
    match = re.fullmatch(ARN, resource)

    assert match
    assert match["service"] == action.split(":", maxsplit=1)[0]
    assert "*" not in resource.rsplit(":", 1)[1].rstrip("*")


@pytest.mark.parametrize(("action", "resource"), [grant for grant in grants(STATEMENTS) if grant[0].startswith("s3:")])
def test_buckets_are_listed_and_their_objects_read_and_written(action: str, resource: str) -> None:
    assert resource.endswith("/*") == (action != "s3:ListBucket")


def test_metrics_go_to_the_namespaces_of_sagemaker_only() -> None:
    (statement,) = [statement for statement in STATEMENTS if statement["Action"] == "cloudwatch:PutMetricData"]

    assert statement["Condition"] == {
        "StringLike": {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/*"]},
    }


def test_page_explains_every_placeholder_and_fills_it_in() -> None:
    placeholders = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", " ".join(resource for _, resource in grants(STATEMENTS))))

    for placeholder in placeholders:
        assert f"`{placeholder}`" in PAGE
        assert f"s/{placeholder}/" in PAGE


@mock_aws
def test_iam_takes_the_policies_of_the_page_and_of_the_file() -> None:
    trust = re.search(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    assert trust
    iam = boto3.client("iam", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")

    iam.create_role(RoleName="transcriber", AssumeRolePolicyDocument=trust[1].replace("ACCOUNT_ID", "123456789012"))
    filled = TEXT.replace("REGION", "eu-central-1").replace("ACCOUNT_ID", "123456789012")
    iam.put_role_policy(RoleName="transcriber", PolicyName="transcriber", PolicyDocument=filled)

    assert iam.get_role_policy(RoleName="transcriber", PolicyName="transcriber")["PolicyDocument"] == json.loads(filled)
