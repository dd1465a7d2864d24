"""The device probe: what is measured is kept, whatever becomes of the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from device_probe.measurements import MEASUREMENTS, Case, Measurement, NotApplicableError, Point, Probe
from device_probe.model import largest_difference, timed
from device_probe.running import Event, Outcome, measure_all, measure_here, share
from probe_device import lines_of

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "probe_device.py"
PROBE = Probe(folder=Path("nowhere"), device="cpu", compute_type="default")


def answer(_probe: Probe, case: Case) -> Point:
    return {"value": 1.23456789, "of": case["batch"]}


def fail(_probe: Probe, case: Case) -> Point:
    if case["batch"] == 2:
        raise RuntimeError("CUDA is out of memory")
    return {"value": 1.0}


def refuse(_probe: Probe, _case: Case) -> Point:
    raise NotApplicableError("there is only one head")


def measurement(name: str, measure: Any = answer, **more: Any) -> Measurement:
    cases = [{"batch": batch} for batch in (1, 2, 3)]
    return Measurement(
        name=name, unit="ms", question=f"{name}?", measure=measure, on_cuda=cases, **{"on_cpu": cases, **more}
    )


def ends(events: Iterator[Event]) -> dict[str, tuple[Any, Any]]:
    return {event["name"]: (event["status"], event.get("reason")) for event in events if "status" in event}


def test_a_measurement_ends_with_its_points_measured() -> None:
    events = list(measure_here([measurement("a")], PROBE, seconds=60))

    assert [event["point"] for event in events[:-1]] == [
        {"batch": batch, "value": 1.2346, "of": batch} for batch in (1, 2, 3)
    ]
    assert events[-1]["status"] == "measured"


def test_a_failure_tells_where_and_why_and_leaves_the_rest_to_a_fresh_process() -> None:
    events = list(measure_here([measurement("a", fail), measurement("b")], PROBE, seconds=60))

    assert [event.get("point") for event in events] == [{"batch": 1, "value": 1.0}, None]
    assert ends(iter(events)) == {"a": ("failed", "at {'batch': 2}: RuntimeError: CUDA is out of memory")}


def test_what_does_not_apply_stops_nobody() -> None:
    assert ends(measure_here([measurement("a", refuse), measurement("b")], PROBE, seconds=60)) == {
        "a": ("not applicable", "there is only one head"),
        "b": ("measured", None),
    }


def test_without_time_nothing_is_begun() -> None:
    assert ends(measure_here([measurement("a")], PROBE, seconds=0)) == {
        "a": ("cut short", "the time was up after 0 of 3 points")
    }


def test_a_measurement_gets_its_part_of_the_time() -> None:
    assert share(30, [2, 1, 3]) == 10


SAY = """
import json, sys
def say(name, **event): print(json.dumps({"name": name, **event}), flush=True)
print("a library says hello", flush=True)
names = sys.argv[1:]
"""
CRASH = SAY + "say(names[0], point={'value': 1.0})\nprint('illegal address', file=sys.stderr)\nsys.exit(9)"
HANG = SAY + "say(names[0], point={'value': 1.0})\nimport threading\nthreading.Event().wait(60)"
FINISH = SAY + "for name in names: say(name, point={'value': 2.0}); say(name, status='measured', took_s=1.0)"
SILENCE = "pass"


def run(program: str, measurements: Sequence[Measurement], **more: Any) -> tuple[list[Outcome], list[list[str]]]:
    """Run measurements in processes of which the one that begins with `bad` follows the program."""
    started: list[list[str]] = []

    def command(wanted: Sequence[Measurement], _seconds: float) -> Sequence[str]:
        names = [it.name for it in wanted]
        started.append(names)
        return [sys.executable, "-c", program if names[0] == "bad" else FINISH, *names]

    outcomes = measure_all(
        measurements,
        device="cpu",
        command=command,
        environment={},
        keep=lambda _outcomes: None,
        **{"seconds": 60, **more},
    )
    return outcomes, started


@pytest.mark.parametrize(
    ("program", "more", "reason", "points"),
    [
        (CRASH, {}, "its process ended with status 9: illegal address", 1),
        (SILENCE, {}, "its process ended with status 0", 0),
        (HANG, {"seconds": 0, "grace_s": 5}, "its process took longer than 5 s", None),
    ],
)
def test_a_process_that_dies_costs_one_measurement(
    program: str, more: dict[str, Any], reason: str, points: int | None
) -> None:
    outcomes, started = run(program, [measurement("bad"), measurement("good")], **more)

    assert [outcome.status for outcome in outcomes] == ["failed", "measured"]
    assert outcomes[0].reason == reason
    assert points is None or len(outcomes[0].points) == points
    assert started == [["bad", "good"], ["good"]]


def test_measurements_that_want_to_be_alone_are() -> None:
    _outcomes, started = run(FINISH, [measurement("a"), measurement("b"), measurement("c", is_alone=True)])

    assert started == [["a", "b"], ["c"]]


def test_what_is_for_a_gpu_only_is_marked_on_a_cpu() -> None:
    (outcome,), started = run(FINISH, [measurement("a", on_cpu=())])

    assert (outcome.status, outcome.reason) == ("not applicable", "there is nothing to measure on cpu")
    assert not started


def test_a_reader_gets_a_line_for_each_point() -> None:
    outcome = Outcome(measurement=measurement("a"), points=[{"batch": 16, "value": 2.5, "calls": 3}])
    outcome.note({"name": "a", "status": "cut short", "reason": "the time was up"})

    assert [" ".join(line.split()) for line in lines_of([outcome])] == [
        "a batch 16 2.5 ms",
        "a cut short: the time was up",
    ]


def test_a_call_is_timed_twice_after_one_that_is_not_counted() -> None:
    calls: list[None] = []

    assert timed(lambda: calls.append(None), at_least_s=0).calls == 2
    assert len(calls) == 3


def test_windows_that_are_broken_differ() -> None:
    whole = np.zeros((4, 2, 2), np.float32)
    parts = [np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)]
    parts[1][0, 1, 1] = np.nan
    parts[1][1, 0, 0] = 2

    assert largest_difference(whole, parts)[1] == 2
    assert largest_difference(whole, [whole]) == (0, 0)


def test_names_are_unique_and_every_question_has_a_case() -> None:
    assert len({it.name for it in MEASUREMENTS}) == len(MEASUREMENTS)
    assert all(it.on_cuda for it in MEASUREMENTS)


def test_the_demo_model_is_measured_on_a_cpu(demo_model: Path, tmp_path: Path) -> None:
    record = tmp_path / "records" / "probe.json"
    only = ["driver", "encode", "decode", "decode_biased"]
    options = ["--model", str(demo_model), "--device", "cpu", "--out", str(record), "--budget-seconds", "30"]

    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *options, "--only", *only],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert ended.returncode == 0, ended.stderr
    told = json.loads(record.read_text("utf-8"))
    found = {it["name"]: it for it in told["measurements"]}
    assert list(found) == only
    assert found["driver"]["status"] == "not applicable"
    for name in ("encode", "decode"):
        assert found[name]["status"] in {"measured", "cut short"}, found[name]["reason"]
    assert found["decode_biased"]["status"] != "failed", found["decode_biased"]["reason"]
    assert found["encode"]["unit"] == "ms/window"
    assert all(point["value"] > 0 for point in found["encode"]["points"])
    assert (told["device"], told["model"]["folder"], told["budget_s"]) == ("cpu", demo_model.name, 30)
    assert "encode" in ended.stdout


def test_a_folder_without_a_model_is_told_in_a_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--model", str(tmp_path), "--device", "cpu", "--out", str(tmp_path / "o.json")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "holds no model.bin" in ended.stderr
