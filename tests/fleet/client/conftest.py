from __future__ import annotations

import pytest

from tests.fleet.client.cloud import Cloud
from tests.fleet.client.fakes import S3, Clock, Theatre


@pytest.fixture
def theatre() -> Theatre:
    return Theatre()


@pytest.fixture
def clock(theatre: Theatre) -> Clock:
    return theatre.clock


@pytest.fixture
def s3(clock: Clock) -> S3:
    return S3(clock)


@pytest.fixture
def cloud(s3: S3, theatre: Theatre) -> Cloud:
    return Cloud(s3, theatre)
