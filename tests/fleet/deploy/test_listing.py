"""A plan as people and as programs read it."""

from __future__ import annotations

import json

from fleet.deploy.desired import Mode
from fleet.deploy.existing import NOTHING
from fleet.deploy.listing import as_json, as_text
from fleet.deploy.plan import plan
from tests.fleet.deploy.wishes import wish

STEPS = plan(wish(modes=(Mode.ASYNC,), least=0), NOTHING)


def test_a_step_has_a_number_a_thing_a_reason_and_what_matters_of_its_parameters() -> None:
    lines = as_text(STEPS).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  3. CreateModel: model transcriber-"))

    assert lines[start + 1 : start + 7] == [
        "     why: the image, its role and its settings; the name ends in a hash of them",
        "     Image = 123456789012.dkr.ecr.eu-central-1.amazonaws.com/transcriber:gpu",
        "     Environment.ALLOWED_S3_PREFIXES = s3://acme-recordings/",
        "     Environment.LOG_LEVEL = INFO",
        "     ExecutionRoleArn = arn:aws:iam::123456789012:role/transcriber",
        "     EnableNetworkIsolation = False",
    ]
    assert "  6. wait until transcriber-async is in service, 45 minutes at most" in lines
    assert "     AlarmActions = the ARN of transcriber-async-from-zero" in lines


def test_json_has_every_step_with_all_its_parameters() -> None:
    records = json.loads(as_json(STEPS))

    assert [record["number"] for record in records] == list(range(1, len(STEPS) + 1))
    assert records[5] == {
        "number": 6,
        "wait_for": "transcriber-async",
        "until": "InService",
        "why": "instances start, pull the image and load the model; scaling can be set only on an endpoint in service",
    }
    assert records[2]["parameters"]["Tags"] == [{"Key": "transcriber-deployment", "Value": "transcriber"}]
