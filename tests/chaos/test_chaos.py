"""A small chaos, and what the program would find if there were something to find."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.chaos import chaos
from tests.chaos.faults import LETHAL, MILD, hang_up_in_the_body, kill_the_template, send_damaged_files
from tests.chaos.processes import Holdings, holdings_of, identity_of
from tests.chaos.soak import Sample, Soak, figures_of, is_well


def test_every_round_does_everything_and_all_but_the_last_end_the_worker() -> None:
    rounds = chaos.rounds_of(7, 5)

    assert all(set(one) >= set(MILD) for one in rounds)
    assert [one[-1] in LETHAL for one in rounds] == [True, True, True, True, False]
    assert rounds == chaos.rounds_of(7, 5)
    assert rounds != chaos.rounds_of(8, 5)


@pytest.mark.timeout(300)
def test_a_small_chaos_is_survived() -> None:
    mild = (kill_the_template, hang_up_in_the_body, send_damaged_files)
    figures = chaos.figures_of(chaos.run(rounds=1, seed=3, callers=1, mild=mild))

    troubles = chaos.troubles_of(figures)

    assert not troubles, json.dumps(troubles, indent=1)
    assert figures["honest"]["right answers"] > 0
    assert figures["faults"]["send_damaged_files"] > 0


def test_what_a_process_holds_is_counted(tmp_path: Path) -> None:
    child = subprocess.Popen(
        ["python3", "-c", "import tempfile; a = tempfile.TemporaryFile(); print(flush=True); input()"],
        stdin=-1,
        stdout=-1,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        (tmp_path / "left").touch()
        held = holdings_of(child.pid, scratch=tmp_path)
    finally:
        child.communicate(b"\n")

    assert held.threads == 1
    assert held.unnamed_files == 1
    assert held.files == ("left",)
    assert held.resident_mib > 1
    assert identity_of(child.pid) is None


def test_what_has_become_more_is_a_leak_and_what_has_become_less_is_none() -> None:
    before = Holdings(resident_mib=1, decoders_mib=1, threads=5, descriptors={"socket": 3, "pipe": 4})
    after = Holdings(
        resident_mib=9, decoders_mib=9, threads=7, descriptors={"socket": 5, "pipe": 1}, files=("a",), unnamed_files=1
    )

    assert after.beyond(before) == {"descriptors": 2, "threads": 2, "temporary files": 2}
    assert before.beyond(before) == {"descriptors": 0, "threads": 0, "temporary files": 0}


@pytest.mark.parametrize("growth", [0, 1])
def test_a_soak_is_well_when_everything_stays_flat(growth: int) -> None:
    samples = [
        Sample(
            at_s=2.0 * number,
            resident_mib=400,
            decoders_mib=20,
            open_files=20 + growth * number,
            threads=20,
            unnamed_files=3,
            files=0,
            decoders=4,
        )
        for number in range(50)
    ]

    assert is_well(figures_of(Soak(began="now", minutes=1, seed=1, samples=samples))) == (growth == 0)


def test_the_plot_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="it is drawn on machines that have requirements-bench.txt")
    from tests.chaos.soak_plot import draw

    sample = Sample(
        at_s=60, resident_mib=1, decoders_mib=1, open_files=1, threads=1, unnamed_files=1, files=0, decoders=1
    )
    draw(Soak(began="now", minutes=1, seed=1, samples=[sample]), tmp_path / "a" / "soak.png")

    assert (tmp_path / "a" / "soak.png").read_bytes().startswith(b"\x89PNG")
