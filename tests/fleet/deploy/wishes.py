"""Deployments to want, and hands to make them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet.deploy import platform_facts
from fleet.deploy.apply import Hands, Progress, apply
from fleet.deploy.desired import Container, Deployment, Endpoint, Instances, Mode, Names, Place, Results, Scaling
from fleet.deploy.existing import Existing
from fleet.deploy.plan import plan
from fleet.deploy.steps import Step
from fleet.deploy.survey import Clients, survey
from tests.fleet.deploy.cloud import ACCOUNT, REGION, Cloud

NAMES = Names(deployment="transcriber", place=Place(partition="aws", region=REGION, account=ACCOUNT))
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/transcriber:gpu"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/transcriber"
BOTH = tuple(Mode)


def results(**changes: Any) -> Results:
    said: dict[str, Any] = {
        "folder": "s3://acme-transcripts/",
        "failures": "s3://acme-transcripts/failures/",
        "success_topic": NAMES.success_topic,
        "error_topic": NAMES.error_topic,
        "key": None,
        "jobs_at_once": 8,
    }
    return Results(**said | changes)


def container(**changes: Any) -> Container:
    environment = {"LOG_LEVEL": "INFO", "ALLOWED_S3_PREFIXES": "s3://acme-recordings/"}
    said: dict[str, Any] = {"image": IMAGE, "role": ROLE, "environment": environment}
    return Container(**said | changes)


def wish(
    *,
    modes: tuple[Mode, ...] = BOTH,
    instance_type: str = "ml.g6.2xlarge",
    least: int = 1,
    most: int = 4,
    target: float = 8,
    tags: Mapping[str, str] | None = None,
    volume_key: str | None = None,
    names: Names = NAMES,
    run: Container | None = None,
    puts: Results | None = None,
) -> Deployment:
    def endpoint(mode: Mode) -> Endpoint:
        is_async = mode is Mode.ASYNC
        scaling = Scaling(
            least=least if is_async else max(1, least), most=most, target=target, out_cooldown_s=100, in_cooldown_s=600
        )
        return Endpoint(mode=mode, scaling=scaling, results=(puts or results()) if is_async else None)

    return Deployment(
        names=names,
        container=run or container(),
        instances=Instances(
            type=instance_type,
            machine_image=platform_facts.machine_image_for(instance_type, 12),
            startup_timeout_s=900,
            download_timeout_s=1800,
            volume_key=volume_key,
        ),
        endpoints=tuple(endpoint(mode) for mode in modes),
        tags=tags or {},
    )


class Stage:
    """Hands whose words are kept and whose time passes only when they sleep."""

    def __init__(self, client: Clients) -> None:
        self.told: list[str] = []
        self.warned: list[str] = []
        self.now_s = 0.0
        self.hands = Hands(
            client=client, tell=self.told.append, warn=self.warned.append, clock=lambda: self.now_s, sleep=self._sleep
        )

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds

    @property
    def said(self) -> str:
        return "\n".join((*self.told, *self.warned))


def found(cloud: Cloud, names: Names = NAMES) -> Existing:
    return survey(cloud.client, names)


def make(cloud: Cloud, wanted: Deployment) -> tuple[Step, ...]:
    """Bring the cloud to what is wanted and return the steps that it took."""
    steps = plan(wanted, found(cloud, wanted.names))
    carry_out(cloud, steps)
    return steps


def carry_out(cloud: Cloud, steps: tuple[Step, ...]) -> Stage:
    stage = Stage(cloud.client)
    apply(steps, stage.hands, Progress(), waits=True)
    return stage
