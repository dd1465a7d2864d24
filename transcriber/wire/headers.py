"""The headers that SageMaker hands through: what a caller's request is told by, and what its answer gets back."""

from __future__ import annotations

from collections.abc import Callable

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
LONGEST_ATTRIBUTES = 1024
"""Characters (SageMaker's InvokeEndpoint: CustomAttributes)."""

INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
LONGEST_ID = 64
"""Characters (SageMaker's InvokeEndpoint: InferenceId)."""


Look = Callable[[str], str | None]
"""Says what the request has under a name, however that is spelt."""


def inference_id(header: Look) -> str | None:
    """Return the caller's id if it is one that SageMaker would let through."""
    return _let_through(header(INFERENCE_ID), LONGEST_ID)


def returned(header: Look) -> dict[str, str]:
    """Return what an answer repeats of its request's headers, so that callers can tell it from others."""
    given = {
        INFERENCE_ID: inference_id(header),
        CUSTOM_ATTRIBUTES: _let_through(header(CUSTOM_ATTRIBUTES), LONGEST_ATTRIBUTES),
    }
    return {name: value for name, value in given.items() if value is not None}


def _let_through(value: str | None, longest: int) -> str | None:
    is_fit = value and len(value) <= longest and value.isascii() and value.isprintable()
    return value if is_fit else None
