from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.emulator.answers import Answer, Place, check, inbound, outbound
from fleet.emulator.refusals import ContainerFailed

PLACE = Place(region="eu-central-1", account="123456789012", endpoint_name="transcriber")


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    return Answer(
        status=status, headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()), body=body
    )


@given(st.integers(200, 299))
def test_success_passes(status: int) -> None:
    given_answer = answer(status)

    assert check(given_answer, PLACE) is given_answer


@given(st.integers(100, 199) | st.integers(300, 599), st.binary(max_size=5000))
def test_failure_becomes_a_model_error_with_the_first_of_the_message(status: int, body: bytes) -> None:
    with pytest.raises(ContainerFailed) as caught:
        check(answer(status, body), PLACE)

    assert caught.value.status == 424
    assert caught.value.members == {
        "OriginalStatusCode": status,
        "OriginalMessage": body.decode("utf-8", "replace")[:2048],
        "LogStreamArn": "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/sagemaker/Endpoints/transcriber",
    }


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (499, "client"), (500, "server"), (302, "server")])
def test_message_says_whose_error_it_is(status: int, kind: str) -> None:
    with pytest.raises(ContainerFailed, match=rf"Received {kind} error \({status}\) from primary"):
        check(answer(status, b"why"), PLACE)


def test_long_headers_are_refused() -> None:
    with pytest.raises(ContainerFailed, match="headers with length greater than 4096 bytes"):
        check(answer(X_Amzn_SageMaker_Custom_Attributes="x" * 4096), PLACE)


def test_container_sees_the_headers_of_the_api_only() -> None:
    given_headers = {"Accept": "text/plain", "Authorization": "secret", "X-Mine": "1", "Content-Type": ""}

    assert inbound(given_headers.get) == {"Accept": "text/plain"}


def test_caller_sees_the_headers_of_the_api_only() -> None:
    found = outbound(answer(content_type="text/vtt", server="gunicorn", x_amzn_sagemaker_custom_attributes="a=b"))

    assert found == {"Content-Type": "text/vtt", "X-Amzn-SageMaker-Custom-Attributes": "a=b"}
