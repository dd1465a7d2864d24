"""What batch transform is told, for every size of container."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import pytest

from app import create
from fleet.emulator import transform_plan
from fleet.platform import TRANSFORM_PAYLOAD_MB_MAX
from inference import ModelService
from transcriber.settings import load


@dataclass(frozen=True)
class Sized:
    """A service of so many replicas."""

    replicas: int

    @property
    def capabilities(self) -> SimpleNamespace:
        return SimpleNamespace(replicas=self.replicas)


@pytest.mark.parametrize(
    ("replicas", "environ", "concurrent", "payload_mb"),
    [
        (1, {}, 4, 25),
        (3, {}, 6, 16),
        (64, {}, 10, 10),
        (8, {"MAX_REQUESTS_IN_FLIGHT": "1"}, 1, 100),
        (8, {"MAX_REQUESTS_IN_FLIGHT": "2"}, 2, 50),
        (1, {"MAX_BODY_BYTES": str(6 * 1024 * 1024)}, 4, 6),
        (1, {"MAX_BODY_BYTES": "1000"}, 4, 1),
    ],
)
def test_no_more_is_offered_than_is_taken_and_than_sagemaker_lets_through(
    replicas: int, environ: dict[str, str], concurrent: int, payload_mb: int
) -> None:
    """What is refused with 503 is sent again, three times at most: an offer above what is taken would lose files."""
    client = create(load(environ), cast("ModelService", Sized(replicas))).test_client()
    offered = client.get("/execution-parameters").get_data()

    assert json.loads(offered) == {
        "MaxConcurrentTransforms": concurrent,
        "BatchStrategy": "SINGLE_RECORD",
        "MaxPayloadInMB": payload_mb,
    }
    assert concurrent * payload_mb <= TRANSFORM_PAYLOAD_MB_MAX
    assert transform_plan.plan({"TransformInput": {}}, offered).concurrent == concurrent
