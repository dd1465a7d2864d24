from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.load.plan import Recording
from tests.fleet.load.fake_server import FakeServer, fake_server


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


def recording(number: int = 0, *, duration_s: float = 15.0, windows: int = 1) -> Recording:
    return Recording(body=f"recording {number}".encode(), duration_s=duration_s, windows=windows)
