"""Calls held against AWS's description of its API."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.deploy.desired import Mode
from fleet.deploy.existing import NOTHING
from fleet.deploy.model_check import faults, resolved
from fleet.deploy.plan import plan
from fleet.deploy.steps import Call, PolicyArn, calls
from tests.fleet.deploy.wishes import wish


def alarm(**changes: Any) -> Call:
    parameters = {"AlarmName": "a", "EvaluationPeriods": 2, "ComparisonOperator": "GreaterThanThreshold"}
    return Call(
        service="cloudwatch", operation="PutMetricAlarm", parameters=parameters | changes, what="alarm a", why="test"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Tresshold": 1.0}, 'Unknown parameter in input: "Tresshold"'),
        ({"EvaluationPeriods": "2"}, "Invalid type for parameter EvaluationPeriods"),
        ({"EvaluationPeriods": 0}, "EvaluationPeriods"),
        ({"AlarmName": "a" * 256}, "AlarmName: 256 characters are not between 1 and 255"),
        ({"ComparisonOperator": "GreaterThan"}, "ComparisonOperator: AWS knows no GreaterThan; did you mean Greater"),
        ({"AlarmActions": [PolicyArn(policy="p")] * 6}, "AlarmActions: 6 entries are not between 0 and 5"),
        ({"Namespace": ":x"}, "Namespace: ':x' is not of the form"),
    ],
)
def test_a_call_that_aws_would_refuse_is_told_in_a_sentence(changes: dict[str, Any], expected: str) -> None:
    (fault,) = faults([alarm(**changes)])

    assert expected in fault


def test_a_call_that_aws_understands_has_no_faults() -> None:
    assert faults([alarm(AlarmActions=[PolicyArn(policy="p")])]) == ()


def test_each_fault_is_told_once() -> None:
    steps = plan(wish(modes=(Mode.REALTIME,), instance_type="ml.g6.2xlrge"), NOTHING)

    assert len(faults(calls(steps))) == 1


def test_an_arn_takes_the_place_of_the_policy_that_stands_for_it() -> None:
    assert resolved({"Actions": [PolicyArn(policy="p"), "x"]}, {"p": "arn:p"}) == {"Actions": ["arn:p", "x"]}
