from __future__ import annotations

import pytest

from fleet.load.record import OURS
from fleet.load.runs import Sample
from fleet.load.slices import ROOFLINE, UNDER_WAY_S, Share, Slice, seconds_of, share_of, windows_answered
from tests.fleet.load.conftest import recording
from tests.fleet.load.records import sliced

SLICES = [Slice(began_s=10, ended_s=11), Slice(began_s=12.5, ended_s=14)]


def sample(done_s: float, *, windows: int = 2, complaint: str = "") -> Sample:
    return Sample(recording=recording(windows=windows), due_s=0, done_s=done_s, status=200, complaint=complaint)


def test_only_the_time_in_which_a_program_ran_counts() -> None:
    assert seconds_of(SLICES) == 2.5


def test_transcripts_from_the_first_slice_to_the_last_count() -> None:
    """One that comes between two slices was sent in the one before."""
    samples = [sample(9.9), sample(10.5), sample(11.01), sample(14.01), sample(14 + 2 * UNDER_WAY_S)]
    samples.append(sample(13, complaint="503"))

    assert windows_answered(samples, SLICES) == 6


def test_each_program_is_known_by_its_callers() -> None:
    measured = sliced(18.0, roofline_0=20.0, ours_5=19.0)

    assert [measured.windows_per_s(*key) for key in ((OURS, 20), (OURS, 5), (ROOFLINE, 0))] == [18.0, 19.0, 20.0]
    assert measured.windows_per_s(OURS, 10) is None


def test_rounds_come_to_the_mean_of_their_ratios_and_its_error() -> None:
    share = share_of([(18, 20), (19, 20), (20, 20), (None, 20), (18, None)])

    assert share is not None
    assert share.mean == pytest.approx(0.95)
    assert share.error == pytest.approx(0.05 / 3**0.5)
    assert str(share) == "0.950 ± 0.029"


def test_one_round_has_no_error_and_none_no_share() -> None:
    assert share_of([(18, 20)]) == Share(mean=0.9, error=None)
    assert str(share_of([(18, 20)])) == "0.900"
    assert share_of([]) is None
