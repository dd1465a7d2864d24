"""A few of the requests that `make fuzz` sends by the thousand."""

from __future__ import annotations

import pytest

from tests.fuzz.bodies import PATHS, REQUESTS
from tests.fuzz.routes import figures_of, is_well


@pytest.mark.timeout(300)
def test_requests_that_nobody_means_are_answered_as_is_said() -> None:
    figures = figures_of(examples=4, seed=1)

    assert is_well(figures), figures
    assert {name for name, count in figures["kinds"].items() if count} >= set(REQUESTS)
    assert any(path in kind for kind in figures["kinds"] for path in PATHS)
    assert figures["statuses"]["200"] > 0
