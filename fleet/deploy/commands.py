"""The two errands, told: deploy.py and destroy.py without their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from fleet.aws import unanswered
from fleet.deploy import checks, listing, model_check
from fleet.deploy.apply import Hands, Progress, StepFailed, Unfinished, apply, explain
from fleet.deploy.desired import CannotDeploy, Deployment, Mode, Names, advice
from fleet.deploy.existing import NOTHING
from fleet.deploy.plan import plan, remarks, removal
from fleet.deploy.steps import Step, calls
from fleet.deploy.survey import Clients, survey

DONE, FAILED, MISUSED = 0, 1, 2
"""Exit statuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What `deploy` shall do with the plan.

    Attributes:
        inputs: Where in S3 recordings will be put; None if unknown.
        shows: Whether only to show it.
        is_offline: Whether to ask AWS nothing and plan as if nothing existed.
        as_json: Whether to show it for programs.
        waits: Whether to wait for endpoints to be in service.
    """

    inputs: str | None
    shows: bool
    is_offline: bool
    as_json: bool
    waits: bool


def clients_of(session: boto3.Session) -> Clients:
    """Return boto3's clients, each made once."""
    config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})
    return cache(lambda service: session.client(service, config=config))


def deploy(wanted: Deployment, hands: Hands, errand: Errand) -> int:
    """Make a deployment what it should be, or show how, and return the exit status.

    Raises:
        CannotDeploy: The wish itself cannot be.
    """
    refused = model_check.faults(calls(plan(wanted, NOTHING)))
    if refused:
        raise CannotDeploy("; ".join(refused))
    existing, notes = NOTHING, advice(wanted)
    if not errand.is_offline:
        try:
            checks.check_account(wanted.container.role, checks.whereabouts(hands.client, wanted.names.place.region))
            findings = checks.examine(hands.client, wanted, inputs=errand.inputs)
            existing = survey(hands.client, wanted.names)
        except (BotoCoreError, ClientError) as error:
            return _unable(hands, error, wanted.names.place.region, hint="; --dry-run --offline needs none")
        if findings.faults:
            return _unchanged(hands, *findings.faults)
        wanted = findings.wanted
        notes = (*notes, *findings.notes, *remarks(wanted.names, existing))
    steps = plan(wanted, existing)
    for note in notes:
        hands.warn(f"note: {note}")
    if errand.shows and errand.as_json:
        hands.tell(listing.as_json(steps))
    elif not steps:
        hands.tell("everything is as it should be; nothing to do")
    elif errand.shows:
        hands.tell(listing.as_text(steps))
    else:
        return _carry_out(wanted, steps, hands, errand)
    return DONE


def _carry_out(wanted: Deployment, steps: Sequence[Step], hands: Hands, errand: Errand) -> int:
    progress = Progress()
    try:
        apply(steps, hands, progress, waits=errand.waits)
    except Unfinished as pause:
        hands.tell(str(pause))
        return DONE
    except (StepFailed, KeyboardInterrupt) as error:
        hands.warn(str(error) or "interrupted")
        hands.warn(f"made or changed so far: {', '.join(progress.made) or 'nothing'}")
        if progress.removed:
            hands.warn(f"removed so far: {', '.join(progress.removed)}")
        hands.warn("to go on: mend the cause and run the same command again; what is right is left as it is")
        hands.warn(f"to take it back: {_undoing(wanted.names)}")
        return FAILED
    for line in _what_next(wanted, errand.inputs):
        hands.tell(line)
    return DONE


def destroy(name: str, region: str, hands: Hands, *, shows: bool, agrees: Callable[[int], bool]) -> int:
    """Remove everything of a deployment that we made.

    Args:
        name: The deployment's name.
        region: Where it is.
        hands: What to carry the plan out with.
        shows: Whether only to show what would be removed.
        agrees: Asks whoever deploys whether so many steps may be made.

    Returns:
        The exit status.
    """
    try:
        names = Names(deployment=name, place=checks.whereabouts(hands.client, region))
        existing = survey(hands.client, names)
    except (BotoCoreError, ClientError) as error:
        return _unable(hands, error, region)
    for remark in remarks(names, existing):
        hands.warn(f"note: {remark}")
    steps = removal(names, existing)
    if not steps:
        hands.tell(f"nothing of {name} is in {region}")
        return DONE
    hands.tell(listing.as_text(steps))
    hands.tell(
        "left alone: buckets and what lies in them, the images in ECR, the role, and the logs below "
        f"/aws/sagemaker/Endpoints/{name}-*"
    )
    if shows:
        return DONE
    if not agrees(len(steps)):
        return _unchanged(hands)
    progress = Progress()
    try:
        apply(steps, hands, progress, waits=True)
    except (StepFailed, KeyboardInterrupt) as error:
        hands.warn(str(error) or "interrupted")
        rest = [call.what for call in calls(steps) if call not in progress.done]
        hands.warn(f"still there: {', '.join(rest) or 'what SageMaker is removing now'}")
        hands.warn(f"to go on: {_undoing(names)}")
        return FAILED
    hands.tell(f"nothing of {name} is left in {region}")
    return DONE


def _unable(hands: Hands, error: BotoCoreError | ClientError, region: str, *, hint: str = "") -> int:
    """Say why AWS could not be asked."""
    if isinstance(error, ClientError):
        return _unchanged(hands, explain(error, "sts", error.operation_name))
    return _unchanged(hands, unanswered(error, region, hint=hint))


def _unchanged(hands: Hands, *faults: str) -> int:
    for fault in faults:
        hands.warn(fault)
    hands.warn("nothing was changed")
    return FAILED


def _undoing(names: Names) -> str:
    return f"scripts/destroy.py --name {names.deployment} --region {names.place.region}"


def _what_next(wanted: Deployment, inputs: str | None) -> tuple[str, ...]:
    """Return a line to try each endpoint with, and one to remove everything."""
    region = wanted.names.place.region
    lines = ["done; to try it:"]
    for endpoint in wanted.endpoints:
        name = wanted.names.endpoint(endpoint.mode)
        if endpoint.mode is Mode.REALTIME:
            lines.append(
                f"  aws sagemaker-runtime invoke-endpoint --region {region} --endpoint-name {name} "
                "--body fileb://recording.mp3 transcript.json"
            )
        else:
            lines.append(
                f"  aws sagemaker-runtime invoke-endpoint-async --region {region} --endpoint-name {name} "
                f"--input-location {(inputs or 's3://BUCKET/').rstrip('/')}/recording.mp3"
            )
    return (*lines, f"to remove it: {_undoing(wanted.names)}")
