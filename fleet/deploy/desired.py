"""The deployment we want: a model, and a real-time or an asynchronous endpoint on it, or both.

Values only. What cannot work is refused here, before anything is sent, with one sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.deploy import platform_facts
from fleet.platform import CONTAINER_PORT
from transcriber import settings
from transcriber.errors import InvalidSettings
from transcriber.settings import Settings

OWNER_TAG = "transcriber-deployment"
"""Everything that is made carries this tag, with the deployment's name; what lacks it is not ours and left alone."""

LONGEST_DEPLOYMENT_NAME = 40
"""Characters: what is made adds at most `-realtime-` and ten digits, and SageMaker's names end at 63."""

IMAGE = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>[a-z0-9._/-]+)(:(?P<tag>[\w.-]+)|@(?P<digest>sha256:[0-9a-f]{64}))?"
)
ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?:.*/)?(?P<name>[\w+=,.@-]+)")
TOPIC = re.compile(r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):\d{12}:[\w-]+")
FOLDER = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<path>/.*)?")

ALLOWED = "ALLOWED_S3_PREFIXES"


class CannotDeploy(Exception):
    """What was asked for cannot be done; the message is for whoever deploys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in ECR: by digest, or by tag, which may mean another image tomorrow."""

    registry: str
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, address: str) -> Image:
        """Return the parts of an image's address.

        Raises:
            CannotDeploy: It does not lie in ECR.
        """
        parts = IMAGE.fullmatch(address)
        if parts is None:
            raise CannotDeploy(
                f"{address} is not an image in ECR, and SageMaker pulls from nowhere else; "
                "scripts/build_and_push.sh pushes one and prints its address"
            )
        return cls(**parts.groupdict())


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """An IAM role, by its ARN."""

    partition: str
    account: str
    name: str

    @classmethod
    def parse(cls, arn: str) -> Role:
        """Return the parts of a role's ARN.

        Raises:
            CannotDeploy: It is not one.
        """
        parts = ROLE.fullmatch(arn)
        if parts is None:
            raise CannotDeploy(f"{arn} is not a role; its ARN looks like arn:aws:iam::123456789012:role/transcriber")
        return cls(**parts.groupdict())


class Mode(StrEnum):
    """How callers reach an endpoint."""

    REALTIME = "realtime"
    ASYNC = "async"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where everything is made; ARNs are built from it."""

    partition: str
    region: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the parts of one deployment are called."""

    deployment: str
    place: Place

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", self.deployment):
            raise CannotDeploy(
                f"{self.deployment!r} cannot be a name; SageMaker takes letters, digits, and hyphens between them"
            )
        if len(self.deployment) > LONGEST_DEPLOYMENT_NAME:
            raise CannotDeploy(
                f"the name {self.deployment} has {len(self.deployment)} characters; at most {LONGEST_DEPLOYMENT_NAME} "
                f"leave room for what is added to it"
            )

    def endpoint(self, mode: Mode) -> str:
        """Return the name of an endpoint."""
        return f"{self.deployment}-{mode}"

    def resource(self, mode: Mode) -> str:
        """Return what Application Auto Scaling calls the endpoint's instances."""
        return f"endpoint/{self.endpoint(mode)}/variant/{platform_facts.VARIANT}"

    def tracking_policy(self, mode: Mode) -> str:
        """Return the name of the policy that follows the load."""
        return f"{self.endpoint(mode)}-load"

    @property
    def wake_policy(self) -> str:
        """The name of the policy, and of its alarm, that starts the first instance of an asynchronous endpoint."""
        return f"{self.endpoint(Mode.ASYNC)}-from-zero"

    @property
    def success_topic(self) -> str:
        """The ARN of the topic for results, where we make one."""
        return self._topic("success")

    @property
    def error_topic(self) -> str:
        """The ARN of the topic for failures, where we make one."""
        return self._topic("error")

    def _topic(self, kind: str) -> str:
        place = self.place
        return f"arn:{place.partition}:sns:{place.region}:{place.account}:{self.endpoint(Mode.ASYNC)}-{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What runs, and as whom.

    Attributes:
        image: The image in ECR, by tag or by digest.
        role: ARN of the execution role.
        environment: Settings of the container, and variables for other software in it.
        model_data: Where a model lies that the image does not hold: a .tar.gz, or a folder ending in /;
            None if the image holds it.
        is_isolated: Whether the container has no network at all.
        subnets: Subnets of a VPC to run in; empty for SageMaker's own network.
        security_groups: Security groups in that VPC.
    """

    image: str
    role: str
    environment: Mapping[str, str]
    model_data: str | None = None
    is_isolated: bool = False
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        Role.parse(self.role)
        Image.parse(self.image)
        if bool(self.subnets) != bool(self.security_groups):
            raise CannotDeploy("a VPC takes both subnets and security groups; only one of them was given")
        if self.model_data and not re.fullmatch(r"s3://[^/]+/(.+\.tar\.gz|(.+/)?)", self.model_data):
            raise CannotDeploy(f"{self.model_data} is no model; it is a .tar.gz in S3, or a folder in S3 ending in /")
        _check_size(self.environment)
        read_settings(self.environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances:
    """The machines of every endpoint.

    Attributes:
        type: Such as ml.g6.2xlarge.
        machine_image: InferenceAmiVersion, which decides the GPU's driver; None for an instance without one.
        startup_timeout_s: How long the container may take until /ping answers 200; 60 to 3600.
        download_timeout_s: How long fetching `model_data` may take; 60 to 3600.
        volume_key: KMS key of the storage volume; None for AWS's own.
    """

    type: str
    machine_image: str | None
    startup_timeout_s: int
    download_timeout_s: int
    volume_key: str | None = None

    def __post_init__(self) -> None:
        if reason := platform_facts.unsuitable(self.type):
            raise CannotDeploy(f"{self.type} cannot run the container: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How many instances there are, and when there are more or fewer.

    Attributes:
        least: Instances that always run; 0 only for an asynchronous endpoint.
        most: Instances that run at most.
        target: What an instance should have to do: requests in flight (real-time) or jobs in the queue (asynchronous).
        out_cooldown_s: How long after one growth the next may come.
        in_cooldown_s: How long after any change the next shrinking may come.
    """

    least: int
    most: int
    target: float
    out_cooldown_s: int
    in_cooldown_s: int

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most or self.most < 1:
            raise CannotDeploy(
                f"{self.least} to {self.most} instances cannot be; the least is 0 or more, the most is 1 or more and "
                "not below the least"
            )
        if self.target <= 0:
            raise CannotDeploy(f"a scaling target of {self.target:g} cannot be followed; it must be above 0")
        if min(self.out_cooldown_s, self.in_cooldown_s) < 0:
            raise CannotDeploy("a cooldown is a number of seconds, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What becomes of an asynchronous endpoint's answers.

    Attributes:
        folder: Where in S3 transcripts are put.
        failures: Where in S3 the answers to failed jobs are put.
        success_topic: ARN of the SNS topic that is told of transcripts; None for none.
        error_topic: ARN of the SNS topic that is told of failures; None for none.
        key: KMS key that transcripts are encrypted with; None for the bucket's own.
        jobs_at_once: Jobs that SageMaker hands one instance at the same time.
    """

    folder: str
    failures: str
    success_topic: str | None
    error_topic: str | None
    key: str | None
    jobs_at_once: int

    def __post_init__(self) -> None:
        for folder in (self.folder, self.failures):
            if not FOLDER.fullmatch(folder):
                raise CannotDeploy(f"{folder} is not a place in S3; it looks like s3://bucket/folder/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint; `results` is what an asynchronous one has and a real-time one has not."""

    mode: Mode
    scaling: Scaling
    results: Results | None = None

    def __post_init__(self) -> None:
        if (self.mode is Mode.ASYNC) != (self.results is not None):
            raise CannotDeploy(
                "an asynchronous endpoint needs a place in S3 for its results: --output s3://bucket/folder/"
            )
        if self.mode is Mode.REALTIME and self.scaling.least == 0:
            raise CannotDeploy(
                "a real-time endpoint keeps at least 1 instance; only an asynchronous one can wait with 0 (--min 0)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Everything that shall exist."""

    names: Names
    container: Container
    instances: Instances
    endpoints: tuple[Endpoint, ...]
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        place = self.names.place
        image = Image.parse(self.container.image)
        if image.region != place.region:
            raise CannotDeploy(
                f"the image lies in {image.region} and the endpoint shall run in {place.region}; SageMaker pulls "
                f"from its own region only, so push the image to {place.region} or deploy to {image.region}"
            )
        for endpoint in self.endpoints:
            results = endpoint.results
            for topic in (results.success_topic, results.error_topic) if results else ():
                if topic is not None:
                    _check_topic(topic, place)
        device = read_settings(self.container.environment).device
        if device == "cuda" and platform_facts.gpu_of(self.instances.type) is None:
            raise CannotDeploy(
                f"DEVICE=cuda needs a GPU and {self.instances.type} has none; name another --instance-type, or leave "
                "DEVICE out and use the CPU image"
            )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the container's settings as the container itself will.

    Raises:
        CannotDeploy: The container would refuse to start with them, or SageMaker would not find its port.
    """
    try:
        read = settings.load(environment)
    except InvalidSettings as error:
        raise CannotDeploy(f"the container would not start: {error.message}") from error
    if read.bind_port != CONTAINER_PORT:
        raise CannotDeploy(f"SageMaker calls port {CONTAINER_PORT}; leave PORT out of the environment")
    return read


def advice(wanted: Deployment) -> tuple[str, ...]:
    """Return what whoever deploys should know, though nothing is wrong with it."""
    found = []
    read = read_settings(wanted.container.environment)
    gpu = platform_facts.gpu_of(wanted.instances.type)
    if gpu and gpu.is_blackwell:
        found.append(
            f"{wanted.instances.type} has a Blackwell GPU: the image needs cuBLAS 12.8 in requirements-gpu.in "
            "(docs/images.md says how)"
        )
    if gpu and read.device == "cpu":
        found.append(f"DEVICE=cpu leaves the GPU of {wanted.instances.type} idle; an instance without one costs less")
    if wanted.container.is_isolated:
        found.append(
            "with network isolation the container reaches neither S3 nor the hub: the model must be in the image or "
            "in --model-data, and requests cannot name an s3_uri"
        )
    elif ALLOWED not in wanted.container.environment:
        found.append(
            "callers may name every object that the role may read; say where recordings lie with --input, or with "
            f"--env {ALLOWED}=s3://bucket/folder/ (docs/security.md)"
        )
    if read.s3_endpoint_url:
        found.append(f"S3_ENDPOINT_URL={read.s3_endpoint_url} is meant for rehearsals on a laptop")
    return tuple(found)


def _check_size(environment: Mapping[str, str]) -> None:
    sizes = {name: (len(name.encode()), len(value.encode())) for name, value in environment.items()}
    if len(sizes) > platform_facts.ENVIRONMENT_ENTRIES:
        raise CannotDeploy(
            f"the environment has {len(sizes)} entries; SageMaker takes {platform_facts.ENVIRONMENT_ENTRIES}"
        )
    for name, size in sizes.items():
        if not re.fullmatch(r"[a-zA-Z_]\w*", name, re.ASCII):
            raise CannotDeploy(f"{name!r} cannot be the name of an environment variable")
        if max(size) > platform_facts.ENVIRONMENT_ENTRY_BYTES:
            raise CannotDeploy(
                f"{name[:40]} has {max(size)} bytes; SageMaker takes {platform_facts.ENVIRONMENT_ENTRY_BYTES} for each "
                "name and each value"
            )
    total = sum(map(sum, sizes.values()))
    if total > platform_facts.ENVIRONMENT_BYTES:
        raise CannotDeploy(
            f"the environment has {total} bytes; SageMaker takes {platform_facts.ENVIRONMENT_BYTES} altogether"
        )


def _check_topic(topic: str, place: Place) -> None:
    found = TOPIC.fullmatch(topic)
    if found is None:
        raise CannotDeploy(
            f"{topic} is not a topic; its ARN looks like arn:aws:sns:eu-central-1:123456789012:transcribed"
        )
    if found["region"] != place.region:
        raise CannotDeploy(
            f"{topic} lies in {found['region']}; an endpoint notifies topics of its own region, {place.region}"
        )
