"""Plans by example, and by what must hold for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.deploy import model_check
from fleet.deploy.desired import OWNER_TAG, CannotDeploy, Deployment, Mode, Names
from fleet.deploy.existing import NOTHING
from fleet.deploy.plan import plan, remarks, removal
from fleet.deploy.steps import Call, PolicyArn, Step, Wait, calls
from tests.fleet.deploy.cloud import Cloud
from tests.fleet.deploy.wishes import BOTH, NAMES, carry_out, container, found, make, results, wish


def outline(steps: tuple[Step, ...]) -> list[str]:
    return [
        f"{step.operation} {step.what.rpartition(' ')[2]}"
        if isinstance(step, Call)
        else f"{step.until} {step.endpoint}"
        for step in steps
    ]


def operations(steps: tuple[Step, ...]) -> list[str]:
    return [step.operation for step in calls(steps)]


def test_everything_is_started_before_anything_is_waited_for_and_scaling_follows() -> None:
    steps = plan(wish(least=0), NOTHING)

    assert [line.split()[0] for line in outline(steps)] == [
        "CreateTopic",
        "CreateTopic",
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "CreateEndpoint",
        "InService",
        "InService",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "PutScalingPolicy",
        "PutMetricAlarm",
    ]


def test_a_wake_policy_and_its_alarm_exist_only_where_there_can_be_no_instance() -> None:
    from_zero = calls(plan(wish(modes=(Mode.ASYNC,), least=0), NOTHING))
    alarm = from_zero[-1]

    assert alarm.operation == "PutMetricAlarm"
    assert alarm.parameters["AlarmActions"] == [PolicyArn(policy="transcriber-async-from-zero")]
    assert "PutMetricAlarm" not in operations(plan(wish(least=1), NOTHING))


def test_what_is_right_is_left(cloud: Cloud) -> None:
    make(cloud, wish(least=0))

    assert plan(wish(least=0), found(cloud)) == ()


def test_another_setting_replaces_model_and_configurations_and_removes_the_old_ones_last(cloud: Cloud) -> None:
    make(cloud, wish())
    steps = plan(wish(run=container(environment={"LOG_LEVEL": "DEBUG"})), found(cloud))

    assert operations(steps) == [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpointConfig",
        "UpdateEndpoint",
        "UpdateEndpoint",
        "DeleteEndpointConfig",
        "DeleteEndpointConfig",
        "DeleteModel",
    ]
    assert isinstance(steps[5], Wait)


def test_another_minimum_changes_scaling_and_replaces_no_instance(cloud: Cloud) -> None:
    make(cloud, wish(least=1))

    assert operations(plan(wish(least=2), found(cloud))) == ["RegisterScalableTarget", "RegisterScalableTarget"]


def test_a_minimum_above_zero_takes_the_wake_policy_away(cloud: Cloud) -> None:
    make(cloud, wish(modes=(Mode.ASYNC,), least=0))

    assert operations(plan(wish(modes=(Mode.ASYNC,), least=1), found(cloud))) == [
        "RegisterScalableTarget",
        "DeleteAlarms",
        "DeleteScalingPolicy",
    ]


def test_another_instance_type_takes_scaling_off_first_and_puts_it_back(cloud: Cloud) -> None:
    """SageMaker refuses UpdateEndpoint with another type while a scalable target is registered."""
    make(cloud, wish(modes=(Mode.REALTIME,)))
    steps = plan(wish(modes=(Mode.REALTIME,), instance_type="ml.g5.xlarge"), found(cloud))

    assert operations(steps) == [
        "CreateEndpointConfig",
        "DeregisterScalableTarget",
        "UpdateEndpoint",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "DeleteEndpointConfig",
    ]


@pytest.mark.parametrize(("instances", "retains"), [(0, False), (1, True), (4, True)])
def test_an_update_keeps_the_size_of_a_fleet_but_tries_an_instance_when_there_is_none(
    cloud: Cloud, instances: int, retains: bool
) -> None:
    make(cloud, wish(modes=(Mode.ASYNC,), least=0))
    cloud.endpoints["transcriber-async"]["count"] = instances
    steps = plan(wish(modes=(Mode.ASYNC,), least=0, puts=results(jobs_at_once=2)), found(cloud))
    update = next(call for call in calls(steps) if call.operation == "UpdateEndpoint")

    assert update.parameters["RetainAllVariantProperties"] is retains


def test_one_mode_leaves_the_other_endpoint_and_its_model(cloud: Cloud) -> None:
    make(cloud, wish())
    changed = wish(modes=(Mode.ASYNC,), run=container(environment={}))
    steps = plan(changed, found(cloud))

    assert "DeleteModel" not in operations(steps)
    assert [call.what for call in calls(steps) if call.operation == "DeleteEndpointConfig"] != []
    assert not any("realtime" in line for line in outline(steps))


def test_an_endpoint_of_somebody_else_is_not_touched(cloud: Cloud) -> None:
    make(cloud, wish())
    cloud.tags["arn:aws:sagemaker:eu-central-1:123456789012:endpoint/transcriber-async"].pop(OWNER_TAG)

    with pytest.raises(CannotDeploy, match=r"was not made by this deployment.*choose another --name"):
        plan(wish(), found(cloud))
    assert "DeleteEndpoint transcriber-async" not in outline(removal(NAMES, found(cloud)))
    assert remarks(NAMES, found(cloud))[0].startswith("transcriber-async exists and was not made by this deployment")


def test_an_endpoint_that_failed_is_made_anew(cloud: Cloud) -> None:
    make(cloud, wish(modes=(Mode.REALTIME,)))
    cloud.endpoints["transcriber-realtime"].update(status="Failed", reason="no capacity")

    assert outline(plan(wish(modes=(Mode.REALTIME,)), found(cloud))) == [
        "DeregisterScalableTarget transcriber-realtime",
        "DeleteEndpoint transcriber-realtime",
        "gone transcriber-realtime",
        "CreateEndpoint transcriber-realtime",
        "InService transcriber-realtime",
        "RegisterScalableTarget transcriber-realtime",
        "PutScalingPolicy transcriber-realtime-load",
    ]


def test_an_endpoint_that_is_still_starting_is_waited_for(cloud: Cloud) -> None:
    make(cloud, wish(modes=(Mode.REALTIME,)))
    existing = found(cloud)
    starting = replace(existing.endpoints["transcriber-realtime"], status="Creating")
    existing = replace(existing, endpoints={starting.name: starting}, targets={}, policies=())

    assert [line.split()[0] for line in outline(plan(wish(modes=(Mode.REALTIME,)), existing))] == [
        "InService",
        "RegisterScalableTarget",
        "PutScalingPolicy",
    ]


def test_an_update_that_runs_is_let_finish_before_the_next(cloud: Cloud) -> None:
    make(cloud, wish(modes=(Mode.REALTIME,)))
    existing = found(cloud)
    busy = replace(
        existing.endpoints["transcriber-realtime"], status="Updating", pending_config="transcriber-realtime-x"
    )
    existing = replace(existing, endpoints={busy.name: busy})
    steps = plan(wish(modes=(Mode.REALTIME,)), existing)

    assert outline(steps)[:1] == ["settled transcriber-realtime"]
    assert "UpdateEndpoint" in operations(steps)


def test_a_state_that_only_a_person_can_mend_is_named(cloud: Cloud) -> None:
    make(cloud, wish(modes=(Mode.REALTIME,)))
    cloud.endpoints["transcriber-realtime"]["status"] = "UpdateRollbackFailed"

    with pytest.raises(CannotDeploy, match=r"is UpdateRollbackFailed.*destroy\.py --name transcriber"):
        plan(wish(modes=(Mode.REALTIME,)), found(cloud))


def test_new_tags_are_added_and_the_tags_of_others_stay(cloud: Cloud) -> None:
    make(cloud, wish())
    arn = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/transcriber-async"
    cloud.tags[arn]["cost-centre"] = "theirs"
    make(cloud, wish(tags={"team": "speech"}))

    assert cloud.tags[arn] == {OWNER_TAG: "transcriber", "team": "speech", "cost-centre": "theirs"}
    assert plan(wish(tags={"team": "speech"}), found(cloud)) == ()


def test_a_policy_that_somebody_added_is_told_and_left(cloud: Cloud) -> None:
    make(cloud, wish())
    resource = NAMES.resource(Mode.ASYNC)
    cloud.policies[resource, "at-night"] = {"PolicyName": "at-night", "PolicyARN": "arn", "ResourceId": resource}

    assert plan(wish(), found(cloud)) == ()
    assert "at-night" in remarks(NAMES, found(cloud))[0]


def test_a_deployment_whose_name_begins_with_ours_is_another(cloud: Cloud) -> None:
    longer = Names(deployment="transcriber-2", place=NAMES.place)
    topics = results(success_topic=longer.success_topic, error_topic=longer.error_topic)
    make(cloud, wish())
    make(cloud, wish(names=longer, puts=topics))
    carry_out(cloud, removal(NAMES, found(cloud)))

    assert {name.rpartition("-")[0] for name in cloud.endpoints} == {"transcriber-2"}
    assert plan(wish(names=longer, puts=topics), found(cloud, longer)) == ()


WISHES = st.builds(
    wish,
    modes=st.sampled_from([(Mode.REALTIME,), (Mode.ASYNC,), BOTH]),
    instance_type=st.sampled_from(["ml.g6.2xlarge", "ml.g5.xlarge", "ml.p5.4xlarge", "ml.c7i.4xlarge"]),
    least=st.integers(0, 2),
    most=st.integers(2, 5),
    target=st.sampled_from([1, 5, 64]),
    tags=st.dictionaries(st.sampled_from(["team", "stage"]), st.sampled_from(["speech", "test"])),
    volume_key=st.none() | st.just("alias/volumes"),
    run=st.builds(
        container,
        environment=st.sampled_from([{}, {"MODEL_ID": "demo"}]),
        is_isolated=st.booleans(),
        model_data=st.sampled_from([None, "s3://acme-models/whisper/", "s3://acme-models/whisper.tar.gz"]),
        subnets=st.just(("subnet-1",)),
        security_groups=st.just(("sg-1",)),
    ),
    puts=st.builds(
        results,
        success_topic=st.sampled_from([None, NAMES.success_topic, "arn:aws:sns:eu-central-1:123456789012:theirs"]),
        error_topic=st.sampled_from([None, NAMES.error_topic]),
        key=st.none() | st.just("alias/transcripts"),
        jobs_at_once=st.integers(1, 64),
    ),
)


@settings(max_examples=25, deadline=None)
@given(wishes=st.lists(WISHES, min_size=1, max_size=3))
def test_a_plan_leads_to_what_is_wanted_whatever_was_there(wishes: list[Deployment]) -> None:
    """Planning again gives nothing to do, nobody's leftovers stay, and the cloud refuses calls in bad order."""
    cloud = Cloud()
    for wanted in wishes:
        make(cloud, wanted)

        assert plan(wanted, found(cloud)) == ()
        used = {endpoint["config"] for endpoint in cloud.endpoints.values()}
        assert set(cloud.configs) == used
        assert set(cloud.models) == {cloud.configs[name]["ProductionVariants"][0]["ModelName"] for name in used}
        assert set(cloud.targets) == {NAMES.resource(mode) for mode in BOTH if NAMES.endpoint(mode) in cloud.endpoints}
    carry_out(cloud, removal(NAMES, found(cloud)))

    assert cloud.is_empty()
    assert removal(NAMES, found(cloud)) == ()


@settings(max_examples=25, deadline=None)
@given(wanted=WISHES)
def test_every_call_is_one_that_aws_understands(wanted: Deployment) -> None:
    assert model_check.faults(calls(plan(wanted, NOTHING))) == ()
