"""Whoever deploys may do what deploying does, and nothing else; the calls are counted, not listed by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from fleet.deploy.checks import examine, whereabouts
from fleet.deploy.plan import removal
from tests.conftest import ROOT
from tests.fleet.deploy.cloud import REGION, Cloud
from tests.fleet.deploy.wishes import NAMES, carry_out, container, found, make, wish
from tests.policies import grants, listed

STATEMENTS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "deployer-policy.json").read_text("utf-8"))["Statement"]
PAGE = (ROOT / "docs" / "aws.md").read_text("utf-8")

CALLED_OTHERWISE = {"s3:HeadBucket": "s3:ListBucket"}
"""Operations whose permission has another name."""

NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}

DEMANDED_BESIDES = {
    "iam:PassRole",  # CreateModel hands the role over
    "iam:CreateServiceLinkedRole",  # the first RegisterScalableTarget of an account makes scaling's own role
    "sagemaker:UpdateEndpointWeightsAndCapacities",  # what scaling does, checked when a target is registered
    "cloudwatch:TagResource",  # PutMetricAlarm and CreateTopic with tags
    "sns:TagResource",
}

ON_ANYTHING = {
    # AWS knows no finer resource for these, or none with a deployment's name in it (Service Authorization Reference)
    "sagemaker:ListModels",
    "sagemaker:ListEndpointConfigs",
    "cloudwatch:DescribeAlarms",
    "application-autoscaling:DeleteScalingPolicy",
    "application-autoscaling:DeregisterScalableTarget",
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:PutScalingPolicy",
    "application-autoscaling:RegisterScalableTarget",
}


def actions_of_every_errand() -> set[str]:
    """Make, change every way there is, fail, and remove; return what was asked of AWS."""
    cloud = Cloud()
    whereabouts(cloud.client, REGION)
    wanted = examine(cloud.client, wish(least=0), inputs="s3://acme-recordings/").wanted
    make(cloud, wanted)
    make(cloud, replace(wanted, tags={"team": "speech"}))
    make(cloud, wish(least=1, instance_type="ml.g5.xlarge", run=container(environment={})))
    cloud.endpoints["transcriber-async"]["status"] = "Failed"
    make(cloud, wish(least=0))
    carry_out(cloud, removal(NAMES, found(cloud)))
    actions = {f"{service}:{operation}" for service, operation, _ in cloud.calls}
    return {CALLED_OTHERWISE.get(action, action) for action in actions} - NEEDS_NO_PERMISSION


def test_deployer_may_do_what_deploying_does_and_no_more() -> None:
    assert {action for action, _ in grants(STATEMENTS)} == actions_of_every_errand() | DEMANDED_BESIDES


def test_everything_is_granted_only_where_aws_demands_it() -> None:
    assert {action for action, resource in grants(STATEMENTS) if resource == "*"} == ON_ANYTHING
    assert not any("*" in action for action, _ in grants(STATEMENTS))


def test_a_role_is_handed_to_sagemaker_only() -> None:
    (statement,) = [statement for statement in STATEMENTS if "iam:PassRole" in listed(statement["Action"])]

    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_every_statement_has_a_name_of_its_own_that_the_page_explains() -> None:
    names = [statement["Sid"] for statement in STATEMENTS]

    assert len(set(names)) == len(names)
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_page_explains_every_placeholder() -> None:
    text = json.dumps(STATEMENTS)

    for placeholder in ("REGION", "ACCOUNT_ID", "IMAGE_REPOSITORY", "ROLE_NAME", "DEPLOYMENT", "OUTPUT_BUCKET"):
        assert placeholder in text
        assert f"s/{placeholder}/" in PAGE
