"""The three scripts as they are called, with AWS and the builders stood in for by files on PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.fleet.deploy.wishes import IMAGE, ROLE

PUSH = ROOT / "scripts" / "build_and_push.sh"
DEPLOY = [
    *("--name", "transcriber", "--region", "eu-central-1", "--image", IMAGE, "--role", ROLE),
    *("--output", "s3://acme-transcripts/"),
]
OFFLINE = ["--dry-run", "--offline"]

AWS = """#!/usr/bin/env bash
echo "aws $*" >> "$LOG"
case "$*" in
    "sts get-caller-identity"*) [ -z "$NOBODY" ] && echo 123456789012 ;;
    "ecr describe-repositories"*) [ -z "$MISSING" ] || { echo "(RepositoryNotFoundException)" >&2; exit 254; } ;;
    "ecr get-login-password"*) echo secret ;;
esac
"""
BUILDER = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >> "$LOG"
case "$1" in login) cat > /dev/null ;; esac
"""


def script(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    bare = {"PATH": os.environ["PATH"], "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=bare | {"AWS_EC2_METADATA_DISABLED": "true"} | environment,
    )


def test_a_dry_run_offline_shows_the_steps_of_both_endpoints() -> None:
    ended = script("deploy.py", *DEPLOY, *OFFLINE, "--min", "0", "--longest-recording", "5", "--tag", "team=speech")

    assert ended.returncode == 0, ended.stderr
    assert "InferenceAmiVersion = al2-ami-sagemaker-inference-gpu-3-1" in ended.stdout
    assert "MaxConcurrentInvocationsPerInstance = 64" in ended.stdout
    assert "PutMetricAlarm: alarm transcriber-async-from-zero" in ended.stdout
    assert "RoutingStrategy = LEAST_OUTSTANDING_REQUESTS" in ended.stdout
    assert "it starts with 1, the least that SageMaker takes" in ended.stdout
    assert ended.stderr.count("\n") == 1
    assert "callers may name every object that the role may read" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--input", "s3://acme-recordings/in/"], "s3://acme-recordings/in/"),
        (["--input", "s3://acme-recordings"], "s3://acme-recordings"),
        (
            ["--input", "s3://a-b-c/", "--env", "ALLOWED_S3_PREFIXES=s3://x-y-z/a,s3://x-y-z/b"],
            "s3://x-y-z/a,s3://x-y-z/b",
        ),
        (["--input", "s3://acme-recordings/in/", "--env", "ALLOWED_S3_PREFIXES="], ""),
        ([], None),
    ],
)
def test_callers_may_name_what_lies_in_the_inputs_place(arguments: list[str], allowed: str | None) -> None:
    ended = script("deploy.py", *DEPLOY, *OFFLINE, "--json", *arguments)
    steps = {step["operation"]: step["parameters"] for step in json.loads(ended.stdout) if "operation" in step}

    assert steps["CreateModel"]["PrimaryContainer"].get("Environment", {}).get("ALLOWED_S3_PREFIXES") == allowed
    assert ("callers may name" in ended.stderr) == (allowed is None)


def test_json_holds_what_is_sent_and_nothing_else_is_on_stdout() -> None:
    ended = script(
        "deploy.py",
        *(*DEPLOY, *OFFLINE, "--json", "--min", "0", "--cuda", "13", "--network-isolation", "--output-key", "alias/k"),
        *("--subnets", "subnet-1,subnet-2", "--security-groups", "sg-1", "--model-data", "s3://acme-models/w.tar.gz"),
        *("--success-topic", "none", "--error-topic", "arn:aws:sns:eu-central-1:123456789012:theirs"),
        *("--mode", "async", "--jobs-at-once", "3", "--target-jobs", "6", "--volume-key", "alias/v"),
    )
    steps = {step["operation"]: step["parameters"] for step in json.loads(ended.stdout) if "operation" in step}

    assert steps["CreateModel"]["VpcConfig"] == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert steps["CreateModel"]["EnableNetworkIsolation"] is True
    assert steps["CreateModel"]["PrimaryContainer"]["ModelDataUrl"] == "s3://acme-models/w.tar.gz"
    (variant,) = steps["CreateEndpointConfig"]["ProductionVariants"]
    assert variant["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"
    assert variant["ModelDataDownloadTimeoutInSeconds"] == 1800
    assert steps["CreateEndpointConfig"]["KmsKeyId"] == "alias/v"
    assert steps["CreateEndpointConfig"]["AsyncInferenceConfig"] == {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 3},
        "OutputConfig": {
            "S3OutputPath": "s3://acme-transcripts/",
            "S3FailurePath": "s3://acme-transcripts/failures/",
            "KmsKeyId": "alias/k",
            "NotificationConfig": {"ErrorTopic": "arn:aws:sns:eu-central-1:123456789012:theirs"},
        },
    }
    assert "CreateTopic" not in steps
    assert steps["PutMetricAlarm"]["AlarmActions"] == ["<PolicyARN of transcriber-async-from-zero>"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--env", "LOG_LEVL=INFO"], "did you mean LOG_LEVEL?"),
        (["--env", "LOG_LEVEL"], "--env LOG_LEVEL says nothing; it looks like --env KEY=VALUE"),
        (["--mode", "realtime", "--min", "0"], "keeps at least 1 instance"),
        (["--input", "acme-recordings"], "acme-recordings is not a place in S3; it looks like s3://bucket/folder/"),
        (["--input", "s3://acme-recordings/a*b"], "the container would not start: ALLOWED_S3_PREFIXES"),
        (["--startup-timeout", "5000"], "5000 are not between 60 and 3600"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], sentence: str) -> None:
    ended = script("deploy.py", *DEPLOY, *OFFLINE, *arguments)

    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_offline_goes_with_a_dry_run_only() -> None:
    ended = script("deploy.py", *DEPLOY, "--offline")

    assert (ended.returncode, ended.stderr) == (2, "deploy.py: --offline and --json go with --dry-run\n")


@pytest.mark.parametrize(
    ("name", "arguments"), [("deploy.py", DEPLOY), ("destroy.py", ["--name", "x", "--region", "eu-central-1"])]
)
def test_without_credentials_the_message_says_what_to_do(name: str, arguments: list[str]) -> None:
    ended = script(name, *arguments)

    assert ended.returncode == 1
    assert "run aws configure or aws sso login, or set AWS_PROFILE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_name_that_cannot_be_is_refused_by_destroy_too() -> None:
    ended = script("destroy.py", "--name", "x", AWS_PROFILE="nobody")

    assert ended.returncode == 2
    assert "nobody" in ended.stderr


class Workbench:
    """A PATH with an AWS CLI and a builder that write down how they are called."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self._folder = folder
        for name, text in (("aws", AWS), ("docker", BUILDER), ("buildah", BUILDER)):
            (folder / name).write_text(text, "utf-8")
            (folder / name).chmod(0o755)

    def push(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self._folder}:{os.environ['PATH']}"
        known = {"PATH": path, "LOG": str(self.log), "MISSING": "", "NOBODY": "", "AWS_REGION": "eu-central-1"}
        return subprocess.run(
            [str(PUSH), *arguments], capture_output=True, text=True, timeout=60, check=False, env=known | environment
        )

    @property
    def calls(self) -> list[str]:
        return self.log.read_text("utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def test_an_image_is_built_tagged_and_pushed_and_its_address_printed(bench: Workbench) -> None:
    ended = bench.push("--gpu", "--repository", "transcriber", "--model", "acme/whisper", MISSING="yes")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{IMAGE}\n"
    assert next(call for call in bench.calls if call.startswith("docker build")).count("MODEL_ID=acme/whisper") == 1
    assert "aws ecr create-repository --repository-name transcriber --region eu-central-1" in bench.calls
    assert bench.calls[-2:] == [f"docker tag transcriber:gpu {IMAGE}", f"docker push {IMAGE}"]
    assert not any("secret" in call for call in bench.calls)


def test_a_repository_that_is_there_is_left(bench: Workbench) -> None:
    ended = bench.push("--repository", "transcriber", "--no-build", "--builder", "buildah", "--tag", "v1")

    assert ended.returncode == 0, ended.stderr
    assert not any("create-repository" in call or "build --" in call for call in bench.calls)
    assert bench.calls[-1] == f"buildah push --format v2s2 {IMAGE.replace(':gpu', ':v1')}"


def test_a_dry_run_prints_the_commands_and_runs_none_that_changes_anything(bench: Workbench) -> None:
    ended = bench.push("--gpu", "--repository", "transcriber", "--dry-run")

    assert ended.returncode == 0
    assert ended.stdout == f"{IMAGE}\n"
    assert f"+ docker push {IMAGE}" in ended.stderr
    assert set(bench.calls) <= {"docker info", "aws sts get-caller-identity --query Account --output text"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--repository is needed"),
        (["--repository", "Transcriber"], "cannot be a repository"),
        (["--repository", "a", "--tag", "-x"], "cannot be a tag"),
        (["--repository", "a", "--builder", "kaniko"], "--builder is docker, podman or buildah, not kaniko"),
        (["--tag"], "--tag wants a value"),
        (["--fast"], "unknown option --fast"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(bench: Workbench, arguments: list[str], sentence: str) -> None:
    ended = bench.push(*arguments)

    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert ended.stdout == ""


def test_without_credentials_nothing_is_built(bench: Workbench) -> None:
    ended = bench.push("--repository", "transcriber", NOBODY="yes")

    assert ended.returncode == 1
    assert "run aws configure or aws sso login" in ended.stderr
    assert not any("build --" in call for call in bench.calls)
