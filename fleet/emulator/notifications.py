"""The messages that SageMaker sends to SNS about asynchronous invocations.

Source: dg/async-inference-check-predictions.html, and messages received in 2025. The page shows no failed one whole;
its form is taken from code that AWS publishes to consume it.
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import Literal

from fleet import platform

Body = tuple[str, bytes]
"""Content type and bytes of the container's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an asynchronous invocation; None where there is nothing to tell."""

    region: str
    endpoint_name: str
    inference_id: str
    received_s: float
    ended_s: float
    status: Literal["Completed", "Failed"]
    accept: str | None = None
    content_type: str | None = None
    input_location: str | None = None
    answer_content_type: str | None = None
    output_location: str | None = None
    failure_reason: str | None = None


def result(outcome: Outcome, *, answer: Body | None) -> dict[str, object]:
    """Return the notification; `answer` is None unless the endpoint wants it included."""
    asked = {
        "accept": outcome.accept,
        "contentType": outcome.content_type,
        "endpointName": outcome.endpoint_name,
        "inputLocation": outcome.input_location,
    }
    answered = {"contentType": outcome.answer_content_type, "outputLocation": outcome.output_location}
    message: dict[str, object] = {
        "awsRegion": outcome.region,
        "eventTime": stamp(outcome.ended_s),
        "receivedTime": stamp(outcome.received_s),
        "invocationStatus": outcome.status,
        "requestParameters": {name: value for name, value in asked.items() if value is not None},
    }
    if outcome.status == "Completed":
        message["responseParameters"] = {name: value for name, value in answered.items() if value is not None}
    else:
        message["failureReason"] = outcome.failure_reason
    if answer is not None:
        message["responseBody"] = _included(answer)
    return {
        **message,
        "inferenceId": outcome.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def trial() -> dict[str, object]:
    """Return the message that arrives after an endpoint is made or changed; consumers must ignore it."""
    return {"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"}


def stamp(seconds: float) -> str:
    """Write a time since 1970 as `2022-01-25T22:46:00.608Z`."""
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _included(answer: Body) -> dict[str, object]:
    _content_type, content = answer
    if len(content) > platform.NOTIFIED_RESPONSE_BYTES:
        said = f"the response of {len(content)} bytes is above the {platform.NOTIFIED_RESPONSE_BYTES} that are included"
        return {"content": None, "message": said, "encoding": "BASE64"}
    return {"content": base64.b64encode(content).decode(), "message": None, "encoding": "BASE64"}
