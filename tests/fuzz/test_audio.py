"""A few of the damaged files that `make fuzz` makes by the thousand."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.fuzz.audio import decode_files
from tests.fuzz.mutations import STEPS, mutated


def test_a_number_is_a_file() -> None:
    assert mutated(5) == mutated(5)
    assert len({mutated(number).content for number in range(50)}) > 45


def test_every_accident_happens() -> None:
    told = " ".join(mutated(number).story for number in range(300))

    assert all(step.__name__ in told for step in STEPS)


def test_damaged_files_are_decoded_or_refused_and_nothing_stays() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # the other tests' servers open and end things here
        fuzzed = alone.submit(decode_files, range(120)).result()

    assert fuzzed.findings == []
    assert fuzzed.leaked == {"descriptors": 0, "threads": 0, "processes": 0}
    assert set(fuzzed.outcomes) <= {"samples", "not_audio", "too_large"}
    assert fuzzed.outcomes["samples"] > 20
    assert fuzzed.outcomes["not_audio"] > 20
