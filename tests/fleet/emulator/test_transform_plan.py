from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.emulator.refusals import InvalidCall
from fleet.emulator.transform_plan import check, environ, is_worth_retrying, plan

MEBIBYTE = 1024 * 1024


def offer(**members: object) -> bytes:
    return json.dumps(members).encode()


def test_defaults_hold_where_nobody_says_anything() -> None:
    found = plan({}, None)

    assert (found.concurrent, found.payload_bytes, found.strategy) == (1, 6 * MEBIBYTE, "MULTI_RECORD")
    assert (found.timeout_s, found.retries) == (600, 3)


def test_container_goes_before_the_defaults_and_the_job_before_both() -> None:
    offered = offer(MaxConcurrentTransforms=4, MaxPayloadInMB=20, BatchStrategy="SINGLE_RECORD")

    assert (plan({}, offered).concurrent, plan({}, offered).payload_bytes) == (4, 20 * MEBIBYTE)
    assert plan({}, offered).strategy == "SINGLE_RECORD"
    asked = {"MaxConcurrentTransforms": 2, "BatchStrategy": "MultiRecord"}
    assert (plan(asked, offered).concurrent, plan(asked, offered).strategy) == (2, "MULTI_RECORD")


def test_zero_megabytes_is_without_limit() -> None:
    assert plan({"MaxPayloadInMB": 0, "MaxConcurrentTransforms": 50}, None).payload_bytes is None


@given(st.integers(1, 200), st.integers(0, 200))
def test_product_of_concurrency_and_payload_has_a_limit(concurrent: int, payload: int) -> None:
    asked = {"MaxConcurrentTransforms": concurrent, "MaxPayloadInMB": payload}

    if concurrent * payload <= 100:
        assert plan(asked, None).concurrent == concurrent
    else:
        with pytest.raises(InvalidCall, match="above the 100 MB"):
            plan(asked, None)


@pytest.mark.parametrize("offered", [b"no", b"[]", offer(MaxPayloadInMB="6"), offer(BatchStrategy="ALL")])
def test_offer_that_cannot_be_read_is_refused(offered: bytes) -> None:
    with pytest.raises(InvalidCall, match="/execution-parameters"):
        plan({}, offered)


def test_container_is_told_what_the_caller_set_and_nothing_else() -> None:
    assert environ({}) == {"SAGEMAKER_BATCH": "true"}
    assert environ({"MaxPayloadInMB": 0, "BatchStrategy": "SingleRecord", "Environment": {"MODEL_ID": "demo"}}) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "MODEL_ID": "demo",
    }


@pytest.mark.parametrize(("status", "expected"), [(400, False), (413, False), (500, True), (503, True), (None, True)])
def test_only_what_may_pass_is_tried_again(status: int | None, expected: bool) -> None:
    assert is_worth_retrying(status) == expected


@pytest.mark.parametrize(
    "given_job",
    [
        {"DataSource": {"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/m"}}},
        {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/m"}}, "SplitType": "Line"},
    ],
)
def test_what_is_not_emulated_is_refused(given_job: dict[str, Any]) -> None:
    with pytest.raises(InvalidCall):
        check({"TransformInput": given_job})
