"""What an answer repeats of the headers of its request."""

from __future__ import annotations

import pytest
from werkzeug.datastructures import Headers

from transcriber.wire.headers import CUSTOM_ATTRIBUTES, INFERENCE_ID, inference_id, returned


@pytest.mark.parametrize(
    ("name", "longest"),
    [("X-Amzn-SageMaker-Inference-Id", 64), ("X-Amzn-SageMaker-Custom-Attributes", 1024)],
)
def test_what_sagemaker_lets_through_comes_back(name: str, longest: int) -> None:
    for value in ("x", "a b;c=d", "x" * longest):
        assert returned(Headers({name.lower(): value}).get) == {name: value}
    for value in ("", "x" * (longest + 1), "a\tb", "caf\xe9"):
        assert returned(Headers({name: value}).get) == {}


def test_both_come_back_and_nothing_else() -> None:
    given = {INFERENCE_ID: "one", CUSTOM_ATTRIBUTES: "language=en"}

    assert returned(Headers(given | {"Accept": "text/vtt", "X-Amzn-Trace-Id": "Root=1"}).get) == given


def test_the_id_is_what_comes_back() -> None:
    assert inference_id(Headers({INFERENCE_ID: "one"}).get) == "one"
    assert inference_id(Headers({INFERENCE_ID: "x" * 65}).get) is None
    assert inference_id(Headers().get) is None
