"""How a batch transform job is to be run: who decides what, and what is refused; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleet import platform
from fleet.emulator.refusals import InvalidCall


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The numbers of one job.

    Attributes:
        concurrent: Calls at once on one instance.
        payload_bytes: Largest object; None is without limit, and sent in chunks.
        strategy: Has no effect on whole objects; the container is told.
    """

    concurrent: int
    payload_bytes: int | None
    strategy: str
    timeout_s: float
    retries: int


def check(job: Mapping[str, Any]) -> None:
    """Refuse a job that SageMaker refuses, or that this emulator does not run.

    Raises:
        InvalidCall: With the reason.
    """
    source = job["TransformInput"]["DataSource"].get("S3DataSource") or {}
    if source.get("S3DataType") != "S3Prefix":
        raise InvalidCall(f"S3DataType {source.get('S3DataType')} is not emulated; give S3Prefix.")
    if job["TransformInput"].get("SplitType", "None") != "None":
        raise InvalidCall("A recording cannot be split by SageMaker; leave SplitType at None.")
    if job.get("DataProcessing"):
        raise InvalidCall("DataProcessing is for JSON and CSV input and is not emulated; leave it out.")
    _sizes(job.get("MaxConcurrentTransforms") or 1, job.get("MaxPayloadInMB", platform.TRANSFORM_PAYLOAD_MB))


def plan(job: Mapping[str, Any], offered: bytes | None) -> Plan:
    """Combine what the job asks for, what the container offers and the defaults, in this order.

    Args:
        job: What CreateTransformJob was given.
        offered: The body of GET /execution-parameters, or None where the container has none.

    Raises:
        InvalidCall: The container's offer cannot be read, or the sizes do not fit.
    """
    execution = _offer(offered)
    concurrent = job.get("MaxConcurrentTransforms") or execution.get("MaxConcurrentTransforms")
    payload = job.get("MaxPayloadInMB", execution.get("MaxPayloadInMB", platform.TRANSFORM_PAYLOAD_MB))
    concurrent = concurrent or platform.TRANSFORM_CONCURRENT
    _sizes(concurrent, payload)
    client = job.get("ModelClientConfig", {})
    return Plan(
        concurrent=concurrent,
        payload_bytes=payload * platform.MEGABYTE if payload else None,
        strategy=_upper(job.get("BatchStrategy")) or execution.get("BatchStrategy") or platform.TRANSFORM_STRATEGY,
        timeout_s=client.get("InvocationsTimeoutInSeconds", platform.TRANSFORM_TIMEOUT_S),
        retries=client.get("InvocationsMaxRetries", platform.TRANSFORM_RETRIES),
    )


def environ(job: Mapping[str, Any]) -> dict[str, str]:
    """Return what SageMaker puts into the container's environment: what the caller set, and that it is a batch."""
    given = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": job.get("MaxPayloadInMB"),
        "SAGEMAKER_BATCH_STRATEGY": _upper(job.get("BatchStrategy")),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": job.get("MaxConcurrentTransforms"),
    }
    return {
        "SAGEMAKER_BATCH": "true",
        **{name: str(value) for name, value in given.items() if value is not None},
        **job.get("Environment", {}),
    }


def is_worth_retrying(status: int | None) -> bool:
    """Say whether a failed call is made again: a container's 4xx is for good, 5xx and silence (None) are not."""
    return status is None or status >= 500


def _offer(offered: bytes | None) -> dict[str, Any]:
    if offered is None:
        return {}
    try:
        found: dict[str, Any] = json.loads(offered)
        concurrent, payload = found.get("MaxConcurrentTransforms", 1), found.get("MaxPayloadInMB", 0)
        whole = isinstance(concurrent, int) and isinstance(payload, int) and concurrent >= 0 and payload >= 0
        known = found.get("BatchStrategy", "MULTI_RECORD") in {"MULTI_RECORD", "SINGLE_RECORD"}
    except (ValueError, AttributeError) as error:
        raise InvalidCall("The container's /execution-parameters is not a JSON object.") from error
    if not whole or not known:
        raise InvalidCall(
            "The container's /execution-parameters must have whole numbers for MaxConcurrentTransforms and "
            "MaxPayloadInMB, and MULTI_RECORD or SINGLE_RECORD for BatchStrategy."
        )
    return found


def _sizes(concurrent: int, payload_mb: int) -> None:
    most = platform.TRANSFORM_PAYLOAD_MB_MAX
    if payload_mb > most or concurrent * payload_mb > most:
        raise InvalidCall(
            f"MaxConcurrentTransforms {concurrent} times MaxPayloadInMB {payload_mb} is above the {most} MB accepted;"
            " MaxPayloadInMB 0 sends objects of any size, in chunks."
        )


def _upper(strategy: str | None) -> str | None:
    return {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}.get(strategy or "")
