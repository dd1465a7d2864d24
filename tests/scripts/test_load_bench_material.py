"""The recordings that are sent under load."""

from __future__ import annotations

import pytest

from fleet.load.errors import CannotMeasure
from scripts.load_bench import material


def test_recordings_differ_and_are_wav() -> None:
    cutter = material.Cutter()
    cuts = cutter.cuts(15)

    assert len({cut.body for cut in cuts}) == material.CUTS
    assert {cut.duration_s for cut in cuts} == {15.0}
    assert all(cut.body.startswith(b"RIFF") for cut in cuts)
    assert cutter.long().duration_s == 600.0
    with pytest.raises(CannotMeasure, match="121 s cannot be cut out of 120 s"):
        cutter.cuts(121)
