"""What AWS can say about a wish before anything is made: is the image there, do the buckets lie where they must ...

Reads only. Whatever we are not allowed to look at is noted and left to AWS's own refusal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from fleet.aws import DENIED
from fleet.deploy.apply import explain
from fleet.deploy.desired import FOLDER, CannotDeploy, Deployment, Image, Place, Role
from fleet.deploy.survey import Clients

SAGEMAKER = "sagemaker.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found.

    Attributes:
        wanted: The deployment, its image by digest where ECR told it.
        faults: What would fail.
        notes: What could not be looked at.
    """

    wanted: Deployment
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Note:
    text: str


@dataclass(frozen=True, slots=True)
class _Fault:
    text: str


_Finding = _Note | _Fault


def whereabouts(client: Clients, region: str) -> Place:
    """Return the account that the credentials belong to, as a place.

    Raises:
        ClientError: The credentials are wrong or have expired.
    """
    arn = client("sts").get_caller_identity()["Arn"]
    _, partition, _, _, account, *_ = arn.split(":")
    return Place(partition=partition, region=region, account=account)


def examine(client: Clients, wanted: Deployment, *, inputs: str | None) -> Findings:
    """Look at everything that a deployment names and does not make itself.

    Args:
        client: boto3's clients.
        wanted: The deployment.
        inputs: Where in S3 recordings will be put; None if unknown.
    """
    findings: list[_Finding] = []
    findings += _role(client, wanted.container.role)
    digest, more = _image(client, wanted.container.image)
    findings += more
    folders = [inputs, wanted.container.model_data]
    for endpoint in wanted.endpoints:
        if endpoint.results:
            folders += [endpoint.results.folder, endpoint.results.failures]
    buckets = dict.fromkeys(found["bucket"] for folder in folders if folder and (found := FOLDER.fullmatch(folder)))
    for bucket in buckets:
        findings += _bucket(client, bucket, wanted.names.place.region)
    return Findings(
        wanted=replace(wanted, container=replace(wanted.container, image=digest)),
        faults=tuple(finding.text for finding in findings if isinstance(finding, _Fault)),
        notes=tuple(finding.text for finding in findings if isinstance(finding, _Note)),
    )


def check_account(role: str, place: Place) -> None:
    """Refuse a role of another account than the credentials'.

    Raises:
        CannotDeploy: They differ.
    """
    account = Role.parse(role).account
    if account != place.account:
        raise CannotDeploy(
            f"the role belongs to account {account} and your credentials to {place.account}; an endpoint takes a role "
            "of its own account only, so set AWS_PROFILE or name another role"
        )


def _image(client: Clients, address: str) -> tuple[str, list[_Finding]]:
    """Return the image by its digest, so that a new image under the same tag is another wish."""
    image = Image.parse(address)
    which = {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag or "latest"}
    try:
        found = client("ecr").describe_images(
            registryId=image.account, repositoryName=image.repository, imageIds=[which]
        )["imageDetails"][0]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "RepositoryNotFoundException":
            return address, [
                _Fault(
                    f"account {image.account} has no repository {image.repository} in {image.region}; "
                    "scripts/build_and_push.sh makes it and pushes an image"
                )
            ]
        if code == "ImageNotFoundException":
            return address, [
                _Fault(
                    f"the repository {image.repository} has no image {next(iter(which.values()))}; "
                    "scripts/build_and_push.sh pushes one and prints its address"
                )
            ]
        if code in DENIED:
            return address, [
                _Note(
                    "ecr:DescribeImages is not allowed, so the image was not looked at; it is named by its tag, and a "
                    "new image under the same tag will not be noticed"
                )
            ]
        return address, [_Fault(f"the image cannot be looked at: {explain(error, 'ecr', 'DescribeImages')}")]
    notes: list[_Finding] = []
    media_type = found.get("imageManifestMediaType", "")
    if media_type.startswith("application/vnd.oci."):
        notes.append(
            _Note(
                f"the image's manifest is {media_type}, which CreateModel may refuse; scripts/build_image.sh says why"
            )
        )
    return f"{image.registry}/{image.repository}@{found['imageDigest']}", notes


def _role(client: Clients, arn: str) -> Iterator[_Finding]:
    name = Role.parse(arn).name
    try:
        found = client("iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchEntity":
            yield _Fault(f"there is no role {name}; docs/iam.md says how to make it")
        elif code in DENIED:
            yield _Note("iam:GetRole is not allowed, so the role was not looked at")
        else:
            yield _Fault(f"the role cannot be looked at: {explain(error, 'iam', 'GetRole')}")
        return
    if found["Arn"] != arn:
        yield _Fault(f"the role's ARN is {found['Arn']}, not {arn}")
    document = found["AssumeRolePolicyDocument"]
    trust = json.loads(document) if isinstance(document, str) else document
    if not any(_trusts_sagemaker(statement) for statement in _listed(trust.get("Statement", []))):
        yield _Fault(
            f"SageMaker may not take on the role {name}; let {SAGEMAKER} assume it (docs/iam.md has trust.json)"
        )


def _trusts_sagemaker(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal", {})
    services = _listed(principal.get("Service", [])) if isinstance(principal, dict) else [principal]
    actions = _listed(statement.get("Action", []))
    return (
        statement.get("Effect") == "Allow"
        and bool({SAGEMAKER, "*"} & set(services))
        and bool({"sts:AssumeRole", "sts:*", "*"} & set(actions))
    )


def _bucket(client: Clients, bucket: str, region: str) -> Iterator[_Finding]:
    try:
        answer = client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            yield _Fault(f"there is no bucket {bucket}; make it in {region}, or name another")
            return
        if status not in {301, 400, 403}:
            yield _Fault(f"the bucket {bucket} cannot be looked at: {explain(error, 's3', 'ListBucket')}")
            return
        if status == 403:
            yield _Note(f"s3:ListBucket on {bucket} is not allowed to you, so it was not looked at; the role needs it")
    where = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    if where and where != region:
        yield _Fault(
            f"the bucket {bucket} lies in {where} and the endpoint shall run in {region}; take one in {region}"
        )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
