from __future__ import annotations

import base64
from typing import Any

from fleet.emulator.notifications import Outcome, result, stamp, trial

DONE: dict[str, Any] = {
    "region": "us-east-1",
    "endpoint_name": "transcriber-async",
    "inference_id": "11111111-2222-3333-4444-555555555555",
    "received_s": 1643150760.455,
    "ended_s": 1643150760.608,
    "content_type": "audio/wav",
    "input_location": "s3://bucket/in.wav",
}


def test_success_is_as_documented() -> None:
    outcome = Outcome(
        **DONE, status="Completed", answer_content_type="application/json", output_location="s3://bucket/out.out"
    )

    assert result(outcome, answer=None) == {
        "awsRegion": "us-east-1",
        "eventTime": "2022-01-25T22:46:00.608Z",
        "receivedTime": "2022-01-25T22:46:00.455Z",
        "invocationStatus": "Completed",
        "requestParameters": {
            "contentType": "audio/wav",
            "endpointName": "transcriber-async",
            "inputLocation": "s3://bucket/in.wav",
        },
        "responseParameters": {"contentType": "application/json", "outputLocation": "s3://bucket/out.out"},
        "inferenceId": "11111111-2222-3333-4444-555555555555",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_failure_has_a_reason_and_no_response_parameters() -> None:
    message = result(Outcome(**DONE, status="Failed", failure_reason="ClientError: no"), answer=None)

    assert message["failureReason"] == "ClientError: no"
    assert message["invocationStatus"] == "Failed"
    assert "responseParameters" not in message


def test_response_is_included_up_to_its_limit() -> None:
    outcome = Outcome(**DONE, status="Completed")

    small: Any = result(outcome, answer=("text/plain", b"\xff"))["responseBody"]
    large: Any = result(outcome, answer=("text/plain", bytes(128 * 1024 + 1)))["responseBody"]

    assert small == {"content": base64.b64encode(b"\xff").decode(), "message": None, "encoding": "BASE64"}
    assert large["content"] is None
    assert "131073 bytes" in large["message"]


def test_trial_names_itself() -> None:
    assert trial() == {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}


def test_stamp_has_milliseconds() -> None:
    assert stamp(0) == "1970-01-01T00:00:00.000Z"
