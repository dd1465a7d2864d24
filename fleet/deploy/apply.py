"""The steps of a plan, made with boto3, in order, each told when it is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from fleet.aws import DENIED, sentence
from fleet.deploy import platform_facts
from fleet.deploy.model_check import resolved
from fleet.deploy.steps import Call, Step, Wait
from fleet.deploy.survey import Clients, is_absent

POLL_EVERY_S = 15.0
TELL_EVERY_S = 60.0

REGISTRATION_TRIES = 5
REGISTRATION_PAUSE_S = 3.0
"""A scalable target may take a moment until policies can be put on it. API reference: RegisterScalableTarget."""

HINTS: tuple[tuple[str, str], ...] = (
    ("ResourceLimitExceeded", "ask for a higher quota in Service Quotas, or name another --instance-type"),
    ("Could not assume role", "let sagemaker.amazonaws.com assume the role (docs/iam.md); a new role takes a minute"),
    ("Requested image", "push it with scripts/build_and_push.sh, and let the role pull it (docs/iam.md)"),
    ("ping health check", "the container's own words are in the log group named below"),
    ("capacity", "try again later, in another region, or with another --instance-type"),
    ("ExpiredToken", "the credentials have expired; get new ones and run the same command again"),
)
"""From what AWS says to what to do about it."""


class StepFailed(Exception):
    """A step could not be made; the message says which, why, and what to do."""


class Unfinished(Exception):
    """Only steps that must wait for an endpoint are left, and we were not asked to wait."""


@dataclass(kw_only=True)
class Progress:
    """How far a plan has come; it stays true when a step fails or somebody interrupts."""

    done: list[Call] = field(default_factory=list)

    @property
    def made(self) -> tuple[str, ...]:
        """What exists or has changed now, and had not before."""
        return tuple(dict.fromkeys(call.what for call in self.done if not call.removes))

    @property
    def removed(self) -> tuple[str, ...]:
        """What is gone now."""
        return tuple(dict.fromkeys(call.what for call in self.done if call.removes))


@dataclass(frozen=True, kw_only=True)
class Hands:
    """What carries out steps: boto3's clients, a mouth for what happens and one for what goes wrong, and a clock."""

    client: Clients
    tell: Callable[[str], None]
    warn: Callable[[str], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]


def apply(steps: Sequence[Step], hands: Hands, progress: Progress, *, waits: bool) -> None:
    """Carry out steps in their order.

    Args:
        steps: The plan.
        hands: What to carry it out with.
        progress: Is kept up to date, for whoever has to say what was made when this raises.
        waits: Whether to wait for endpoints.

    Raises:
        StepFailed: AWS refused a step, or an endpoint came to rest otherwise than planned. Later steps were not tried.
        Unfinished: There are steps behind a wait, and `waits` is false.
    """
    arns: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        place = f"[{number}/{len(steps)}]"
        match step:
            case Call():
                outcome = _make(step, hands, arns, place)
                progress.done.append(step)
                hands.tell(f"✓ {place} {outcome}")
            case Wait():
                if not waits:
                    raise Unfinished(
                        f"{len(steps) - number} steps are left for when {step.endpoint} is at rest; run the same "
                        "command again then, and what is done is left as it is"
                    )
                _wait(step, hands, place)
                hands.tell(f"✓ {place} {step.endpoint} is {step.end}")
            case _:
                assert_never(step)


def _make(call: Call, hands: Hands, arns: dict[str, str], place: str) -> str:
    """Send one call, and return what to tell of it."""
    client = hands.client(call.service)
    send = getattr(client, xform_name(call.operation))
    parameters = resolved(call.parameters, arns)
    for tries_left in reversed(range(REGISTRATION_TRIES)):
        try:
            answer: Mapping[str, Any] = send(**parameters)
        except ClientError as error:
            if call.removes and is_absent(error):
                return f"{call.what} was gone already"
            if call.operation == "PutScalingPolicy" and is_absent(error) and tries_left:
                hands.sleep(REGISTRATION_PAUSE_S)
                continue
            raise StepFailed(f"{place} {call.what} failed: {explain(error, call.service, call.operation)}") from error
        except BotoCoreError as error:
            raise StepFailed(f"{place} {call.what} failed: {sentence(str(error))}") from error
        break
    if call.operation == "PutScalingPolicy":
        arns[parameters["PolicyName"]] = answer["PolicyARN"]
    return f"{call.what} {'removed' if call.removes else _verb(call.operation)}"


def _verb(operation: str) -> str:
    return {"Create": "made", "Update": "updated"}.get(operation[:6], "set")


def _wait(wait: Wait, hands: Hands, place: str) -> None:
    """Ask for an endpoint's status until it is what it should be."""
    begun = hands.clock()
    told: tuple[str, float] | None = None
    while True:
        try:
            found = hands.client("sagemaker").describe_endpoint(EndpointName=wait.endpoint)
        except ClientError as error:
            if not is_absent(error):
                why = explain(error, "sagemaker", "DescribeEndpoint")
                raise StepFailed(f"{place} waiting for {wait.endpoint} failed: {why}") from error
            if wait.until == "InService":
                raise StepFailed(f"{place} {wait.endpoint} was removed by somebody while we waited for it") from error
            return
        except BotoCoreError as error:
            raise StepFailed(f"{place} waiting for {wait.endpoint} failed: {sentence(str(error))}") from error
        if _is_at_rest(wait, found, place):
            return
        passed_s = hands.clock() - begun
        status = found["EndpointStatus"]
        if told is None or told[0] != status or passed_s - told[1] >= TELL_EVERY_S:
            hands.tell(f"… {place} {wait.endpoint} is {status} ({passed_s / 60:.0f} min)")
            told = (status, passed_s)
        if passed_s >= wait.limit_s:
            raise StepFailed(
                f"{place} {wait.endpoint} is still {status} after {passed_s / 60:.0f} minutes; SageMaker goes on by "
                "itself, so look again later, and run the same command again when it is at rest"
            )
        hands.sleep(POLL_EVERY_S)


def _is_at_rest(wait: Wait, found: Mapping[str, Any], place: str) -> bool:
    """Return whether a wait is over.

    Raises:
        StepFailed: It is over, but not as planned.
    """
    status = found["EndpointStatus"]
    if status in platform_facts.BUSY_STATUSES or status == "Deleting":
        return False
    if wait.until == "gone":
        if status == "Failed":
            raise StepFailed(f"{place} {wait.endpoint} could not be deleted: {_reason(wait.endpoint, found)}")
        return False  # DeleteEndpoint has not shown yet
    if wait.until == "settled":
        return True
    if status != "InService":
        raise StepFailed(f"{place} {wait.endpoint} is {status}: {_reason(wait.endpoint, found)}")
    if wait.config is not None and found["EndpointConfigName"] != wait.config:
        raise StepFailed(
            f"{place} {wait.endpoint} went back to its old configuration {found['EndpointConfigName']}, which serves "
            f"as before: {_reason(wait.endpoint, found)}"
        )
    return True


def _reason(endpoint: str, found: Mapping[str, Any]) -> str:
    words = sentence(found.get("FailureReason", "") or "SageMaker gives no reason")
    return f"{_hinted(words)}; its log: aws logs tail {platform_facts.LOG_GROUP}{endpoint} --since 1h"


def explain(error: ClientError, service: str, operation: str) -> str:
    """Return what AWS answered, and what to do about it, in one sentence."""
    code = error.response["Error"]["Code"]
    words = sentence(error.response["Error"].get("Message", "") or code)
    if code in DENIED or "is not authorized to perform" in words:
        wanting = re.search(r"not authorized to perform: ([\w-]+:\w+)", words)
        action = wanting[1] if wanting else f"{service}:{operation}"
        return (
            f"your credentials may not {action}; docs/deployer-policy.json has what deploying needs (AWS says: {words})"
        )
    if code == "ValidationException" and "already exist" in words:
        return f"{words}; somebody else made it, so choose another --name"
    return _hinted(f"{words} ({code})")


def _hinted(words: str) -> str:
    hint = next((hint for sign, hint in HINTS if sign.lower() in words.lower()), None)
    return f"{words}; {hint}" if hint else words
