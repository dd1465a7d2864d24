from __future__ import annotations

import pytest

from tests.fleet.deploy.cloud import Cloud


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()
