"""Steps carried out, told, and broken off."""

from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError

from fleet.deploy.apply import Progress, StepFailed, Unfinished, apply, explain
from fleet.deploy.desired import Mode
from fleet.deploy.existing import NOTHING
from fleet.deploy.plan import plan, removal
from fleet.deploy.steps import Wait
from tests.fleet.deploy.cloud import Cloud, refusal
from tests.fleet.deploy.wishes import NAMES, Stage, carry_out, container, found, make, wish

ONE = (Mode.REALTIME,)


def test_every_step_is_told_when_it_is_done(cloud: Cloud) -> None:
    stage = carry_out(cloud, plan(wish(modes=ONE), NOTHING))

    assert [line[:7] for line in stage.told] == [f"✓ [{number}/6]" for number in range(1, 7)]
    assert stage.told[-1] == "✓ [6/6] scaling policy transcriber-realtime-load set"


def test_waiting_tells_each_status_and_that_time_passes(cloud: Cloud) -> None:
    cloud.looks_until_at_rest = 9
    stage = carry_out(cloud, plan(wish(modes=ONE), NOTHING))

    assert [line for line in stage.told if line.startswith("…")] == [
        "… [4/6] transcriber-realtime is Creating (0 min)",
        "… [4/6] transcriber-realtime is Creating (1 min)",
        "… [4/6] transcriber-realtime is Creating (2 min)",
    ]


def test_a_wait_has_an_end(cloud: Cloud) -> None:
    cloud.looks_until_at_rest = 10_000

    with pytest.raises(StepFailed, match="is still Creating after 45 minutes; SageMaker goes on by itself"):
        make(cloud, wish(modes=ONE))


def test_without_waiting_the_rest_is_done_by_the_next_run(cloud: Cloud) -> None:
    cloud.looks_until_at_rest = 2
    stage = Stage(cloud.client)
    with pytest.raises(Unfinished, match="2 steps are left for when transcriber-realtime is at rest"):
        apply(plan(wish(modes=ONE), NOTHING), stage.hands, Progress(), waits=False)
    make(cloud, wish(modes=ONE))

    assert plan(wish(modes=ONE), found(cloud)) == ()


def test_an_endpoint_that_does_not_start_says_why_and_where_its_log_is(cloud: Cloud) -> None:
    cloud.fails_to_start = True

    with pytest.raises(
        StepFailed, match=r"is Failed: .*ping health check.*aws logs tail /aws/sagemaker/Endpoints/transcr"
    ):
        make(cloud, wish(modes=ONE))


def test_an_update_that_was_rolled_back_is_a_failure_and_keeps_the_old_configuration(cloud: Cloud) -> None:
    make(cloud, wish(modes=ONE))
    old = cloud.endpoints["transcriber-realtime"]["config"]
    cloud.rolls_back = True

    with pytest.raises(StepFailed, match=r"went back to its old configuration.*capacity.*another --instance-type"):
        make(cloud, wish(modes=ONE, run=container(environment={})))
    assert old in cloud.configs


def test_progress_knows_what_was_made_when_a_step_is_refused(cloud: Cloud) -> None:
    message = "The account-level service limit 'ml.g6.2xlarge for endpoint usage' is 0 Instances."
    cloud.fails["CreateEndpoint"] = refusal("CreateEndpoint", "ResourceLimitExceeded", message)
    progress = Progress()

    with pytest.raises(StepFailed, match=r"\[3/6\] endpoint transcriber-realtime failed: .*Service Quotas"):
        apply(plan(wish(modes=ONE), NOTHING), Stage(cloud.client).hands, progress, waits=True)
    assert [what.split()[0] for what in progress.made] == ["model", "endpoint"]
    assert cloud.endpoints == {}


def test_removing_what_is_gone_is_no_failure(cloud: Cloud) -> None:
    make(cloud, wish(least=0))
    steps = removal(NAMES, found(cloud))
    carry_out(cloud, steps)
    again = carry_out(cloud, steps)

    assert cloud.is_empty()
    assert "was gone already" in again.said


def test_a_network_that_breaks_is_a_failure_of_the_step(cloud: Cloud) -> None:
    class Unreachable:
        def describe_endpoint(self, **_: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://api.sagemaker")

    stage = Stage(lambda _: Unreachable())
    wait = Wait(endpoint="x", until="settled", limit_s=60, why="")

    with pytest.raises(StepFailed, match="waiting for x failed: Could not connect"):
        apply((wait,), stage.hands, Progress(), waits=True)


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/me is not authorized to perform: iam:PassRole on resource: x",
            "your credentials may not iam:PassRole; docs/deployer-policy.json",
        ),
        ("AccessDenied", "Access Denied", "your credentials may not sagemaker:CreateModel"),
        ("ValidationException", "Cannot create already existing model x", "choose another --name"),
        ("ValidationException", "Could not assume role x.", "let sagemaker.amazonaws.com assume the role"),
        ("ExpiredToken", "The security token included in the request is expired", "get new ones"),
        ("ThrottlingException", "Rate exceeded", "Rate exceeded (ThrottlingException)"),
    ],
)
def test_a_refusal_becomes_a_sentence_that_says_what_to_do(code: str, message: str, expected: str) -> None:
    assert expected in explain(refusal("CreateModel", code, message), "sagemaker", "CreateModel")
