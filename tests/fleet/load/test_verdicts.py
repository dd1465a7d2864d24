from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL, Aims, Record
from fleet.load.verdicts import Verdict, verdicts_of
from tests.fleet.load.records import lone, record, sliced, spread, with_cell


def verdict(whole: Record, figure: str) -> Verdict:
    (found,) = [one for one in verdicts_of(whole) if one.figure.startswith(figure)]
    return found


def test_aims_are_all_met_when_they_are() -> None:
    verdicts = verdicts_of(record())

    assert [one.word for one in verdicts] == ["met"] * 9
    assert [one.measured for one in verdicts] == [
        "4.00 times",
        "2.50 times",
        "3.20 times",
        "0.98",
        "0.50",
        "1.00",
        "12.0 ms",
        "2.00 batches of 50 ms",
        "0",
    ]


@pytest.mark.parametrize(
    ("figure", "missed"),
    [
        ("requests/s against one request", with_cell(record(), "closed", side=SERIAL, callers=20, requests_per_s=6.7)),
        ("requests/s against LitServe", with_cell(record(), "closed", side=LITSERVE, callers=20, requests_per_s=20.0)),
        ("requests/s against Batched", with_cell(record(), "closed", side=BATCHED, callers=20, requests_per_s=21.0)),
        ("windows/s against", with_cell(record(), "closed", callers=20, windows_per_s=19.4)),
        ("P50 against", with_cell(record(), "closed", callers=1, latency=spread(141))),
        ("requests/s against the best", with_cell(record(), "closed", callers=1, requests_per_s=21.1)),
        ("`/ping` P99", with_cell(record(), "crowd", pings=spread(1, p99_ms=100))),
        ("`/ping` P99", with_cell(record(), "crowd", ping_errors=1)),
        ("P95 of 5 s", with_cell(record(), "mix", latency=spread(80, p95_ms=126))),
        ("requests that failed", with_cell(record(), "open", errors=1)),
    ],
)
def test_each_aim_can_be_missed_alone(figure: str, missed: Record) -> None:
    assert verdict(missed, figure).word == "missed"
    assert [one.word for one in verdicts_of(missed)].count("missed") == 1


@pytest.mark.parametrize(
    ("figure", "measured", "said", "word"),
    [
        ("windows/s against", {"sliced": (sliced(18.9), sliced(19.3))}, "0.955 ± 0.010", "met"),
        ("windows/s against", {"sliced": (sliced(18.7), sliced(19.1))}, "0.945 ± 0.010", "missed"),
        ("windows/s against", {"sliced": (sliced(19.0, recording_s=30),)}, "0.98", "met"),
        ("requests/s against one", {"sliced": (sliced(18.0, serial_20=6.1),)}, "2.951 times", "missed"),
        ("requests/s against LitServe", {"sliced": (sliced(18.0, litserve_20=17.0),)}, "1.059 times", "met"),
        ("requests/s against the best", {"sliced": (sliced(18.0, ours_1=18.9),)}, "0.952", "met"),
        ("requests/s against the best", {"sliced": (sliced(18.0, ours_1=19.1),)}, "0.942", "missed"),
        ("P50 against", {"lone": (lone(141.0), lone(143.0))}, "0.710 ± 0.005", "missed"),
        ("P50 against", {"lone": (lone(139.0),)}, "0.695", "met"),
    ],
)
def test_slices_go_before_turns_where_there_are_any(
    figure: str, measured: dict[str, Any], said: str, word: str
) -> None:
    found = verdict(record(**measured), figure)

    assert (found.measured, found.word) == (said, word)


def test_errors_of_others_are_not_ours() -> None:
    assert verdict(with_cell(record(), "closed", side=SERIAL, errors=7), "requests that failed").is_met


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    alone = record(
        sides=(OURS,),
        measured=tuple(one for one in record().measured if one.side == OURS and one.kind == "closed"),
        rooflines=(),
        batch_ms=None,
    )

    assert {one.figure.split(",")[0]: one.word for one in verdicts_of(alone)} == {
        "requests/s against one request at a time": "not measured",
        "requests/s against LitServe": "not measured",
        "requests/s against BatchedInferencePipeline": "not measured",
        "windows/s against the roofline with preprocessing": "not measured",
        "P50 against one request at a time": "not measured",
        "requests/s against the best at any load": "met",
        "`/ping` P99 in a crowd": "not measured",
        "P95 beside a long recording": "not measured",
        "requests that failed": "met",
    }


def test_aims_of_another_device_come_with_the_record() -> None:
    cuda = record(aims=Aims(times_serial=20.0, share_of_roofline=0.99))

    assert verdict(cuda, "requests/s against one").word == "missed"
    assert verdict(cuda, "windows/s against").word == "missed"


def test_roofline_of_several_rounds_is_their_mean() -> None:
    (first,) = record().rooflines
    second = replace(first, with_preprocessing=replace(first.with_preprocessing, windows_per_s=21.5))

    assert record(rooflines=(first, second)).roofline_windows_per_s(15) == 21.0


def test_server_that_is_not_ours_is_not_judged() -> None:
    assert verdicts_of(record(sides=("the server",), measured=())) == ()
