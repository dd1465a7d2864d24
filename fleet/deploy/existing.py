"""What there is of a deployment, as values; survey.py reads it from AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.deploy.desired import OWNER_TAG
from fleet.deploy.requests import Parameters

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that we made."""

    name: str
    arn: str
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An endpoint configuration that we made."""

    name: str
    arn: str
    tags: Tags
    model: str
    instance_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An endpoint with one of our names, whoever made it.

    Attributes:
        name: Its name.
        arn: Its ARN.
        tags: Its tags; `is_ours` reads them.
        status: EndpointStatus, such as InService.
        config: Name of the configuration that serves.
        pending_config: Name of the configuration that a running update leads to, empty when there is none.
        instances: How many instances it shall have at this moment.
        failure: FailureReason, empty when there is none.
    """

    name: str
    arn: str
    tags: Tags
    status: str
    config: str
    pending_config: str
    instances: int
    failure: str

    @property
    def next_config(self) -> str:
        """The configuration that serves once the endpoint is at rest, if nothing fails."""
        return self.pending_config or self.config

    def is_ours(self, deployment: str) -> bool:
        """Return whether this deployment made it."""
        return self.tags.get(OWNER_TAG) == deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """An SNS topic that we made."""

    arn: str
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A scaling policy on one of our endpoints, by the parameters that would make it."""

    name: str
    resource: str
    arn: str
    parameters: Parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """Everything of one deployment that exists.

    Attributes:
        endpoints: Those with our names, also when they are somebody else's.
        models: Ours only, like all that follows.
        configs: The endpoint configurations.
        topics: The SNS topics.
        targets: Scalable targets, by resource, as the parameters that would register them.
        policies: Scaling policies on our endpoints, also those that somebody else added.
        alarm: The parameters that would make the wake alarm; None when there is none.
    """

    endpoints: Mapping[str, Endpoint]
    models: Mapping[str, Model]
    configs: Mapping[str, Config]
    topics: Mapping[str, Topic]
    targets: Mapping[str, Parameters]
    policies: tuple[Policy, ...]
    alarm: Parameters | None

    def policy(self, name: str) -> Policy | None:
        """Return the policy of that name, None when there is none."""
        return next((policy for policy in self.policies if policy.name == name), None)


NOTHING = Existing(endpoints={}, models={}, configs={}, topics={}, targets={}, policies=(), alarm=None)
"""What exists before anything was made."""
