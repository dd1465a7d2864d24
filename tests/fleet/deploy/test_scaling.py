"""When scaling that exists is left as it is; tests/fleet/deploy/test_plan.py has the steps."""

from __future__ import annotations

from fleet.deploy.scaling import covers


def test_covers_ignores_what_aws_adds_and_nothing_else() -> None:
    assert covers(
        {"Target": 8.0, "Alarms": [], "Steps": [{"Adjust": 1, "Upper": None}]}, {"Target": 8, "Steps": [{"Adjust": 1}]}
    )
    assert not covers({"Steps": [{"Adjust": 1}, {"Adjust": 2}]}, {"Steps": [{"Adjust": 1}]})
    assert not covers({}, {"Target": 8})
    assert not covers(None, {"Target": 8})
