"""What AWS says before anything is made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet.deploy.checks import check_account, examine, whereabouts
from fleet.deploy.desired import CannotDeploy, Place
from tests.fleet.deploy.cloud import ACCOUNT, DIGEST, REGION, Cloud, refusal
from tests.fleet.deploy.wishes import IMAGE, ROLE, container, wish

INPUTS = "s3://acme-recordings/calls/"


def faults(cloud: Cloud, **changes: Any) -> tuple[str, ...]:
    return examine(cloud.client, wish(**changes), inputs=INPUTS).faults


def test_what_is_as_it_must_be_has_no_faults_and_changes_nothing(cloud: Cloud) -> None:
    findings = examine(cloud.client, wish(), inputs=INPUTS)

    assert (findings.faults, findings.notes) == ((), ())
    assert cloud.changes() == []


def test_the_image_is_named_by_its_digest(cloud: Cloud) -> None:
    """A new image under the same tag is another wish that way."""
    findings = examine(cloud.client, wish(), inputs=None)

    assert findings.wanted.container.image == f"{IMAGE.removesuffix(':gpu')}@{DIGEST}"
    assert examine(cloud.client, findings.wanted, inputs=None).wanted == findings.wanted


def test_an_image_that_is_not_there_is_named(cloud: Cloud) -> None:
    cpu = container(image=IMAGE.replace(":gpu", ":cpu"))
    other = container(image=IMAGE.replace("transcriber", "other"))

    assert faults(cloud, run=cpu) == (
        "the repository transcriber has no image cpu; scripts/build_and_push.sh pushes one and prints its address",
    )
    (fault,) = faults(cloud, run=other)
    assert fault.startswith(
        f"account {ACCOUNT} has no repository other in {REGION}; scripts/build_and_push.sh makes it"
    )


def test_a_bucket_that_is_not_there_or_lies_elsewhere_is_named(cloud: Cloud) -> None:
    del cloud.buckets["acme-transcripts"]
    cloud.buckets["acme-recordings"] = "us-east-1"

    assert faults(cloud) == (
        f"the bucket acme-recordings lies in us-east-1 and the endpoint shall run in {REGION}; take one in {REGION}",
        "there is no bucket acme-transcripts; make it in eu-central-1, or name another",
    )


def test_a_role_that_is_not_there_or_does_not_trust_sagemaker_is_named(cloud: Cloud) -> None:
    lambdas = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    cloud.roles["transcriber"] = {"Statement": [lambdas]}
    assert faults(cloud)[0].startswith("SageMaker may not take on the role transcriber; let sagemaker.amazonaws.com")

    cloud.roles["transcriber"] = json.dumps(  # type: ignore[assignment]  # as some clients give it
        {"Statement": {**lambdas, "Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}}}
    )
    assert faults(cloud) == ()

    del cloud.roles["transcriber"]
    assert faults(cloud) == ("there is no role transcriber; docs/iam.md says how to make it",)


@pytest.mark.parametrize(
    ("action", "note"),
    [
        ("iam:GetRole", "iam:GetRole is not allowed, so the role was not looked at"),
        ("ecr:DescribeImages", "ecr:DescribeImages is not allowed, so the image was not looked at"),
    ],
)
def test_what_may_not_be_looked_at_is_noted_and_no_fault(cloud: Cloud, action: str, note: str) -> None:
    cloud.denied.add(action)
    findings = examine(cloud.client, wish(), inputs=None)

    assert findings.faults == ()
    assert findings.notes[0].startswith(note)


def test_a_bucket_that_may_not_be_looked_at_is_noted(cloud: Cloud) -> None:
    cloud.fails["HeadBucket"] = refusal("HeadBucket", "403", "Forbidden", status=403, **{"x-amz-bucket-region": REGION})
    findings = examine(cloud.client, wish(), inputs=None)

    assert findings.faults == ()
    assert findings.notes == (
        "s3:ListBucket on acme-transcripts is not allowed to you, so it was not looked at; the role needs it",
    )


def test_the_role_must_belong_to_the_account_of_the_credentials(cloud: Cloud) -> None:
    place = whereabouts(cloud.client, REGION)

    assert place == Place(partition="aws", region=REGION, account=ACCOUNT)
    check_account(ROLE, place)
    with pytest.raises(
        CannotDeploy, match="the role belongs to account 210987654321 and your credentials to 123456789012"
    ):
        check_account(ROLE.replace(ACCOUNT, "210987654321"), place)
