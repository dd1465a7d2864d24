"""A Parakeet of random weights, and what is measured with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPTS = ROOT / "scripts"


def run(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_same_seed_makes_the_same_bytes(parakeet_folder: Path, tmp_path: Path) -> None:
    again = run("make_parakeet_model.py", "tiny", tmp_path / "again")
    other = run("make_parakeet_model.py", "tiny", tmp_path / "other", "--seed", "2")

    assert again.returncode == other.returncode == 0, again.stderr + other.stderr
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (parakeet_folder / path.name).read_bytes()
    networks = ["encoder-model.onnx", "decoder_joint-model.onnx"]
    assert all((tmp_path / "other" / n).read_bytes() != (parakeet_folder / n).read_bytes() for n in networks)


@pytest.mark.parametrize("folder", ["file/below", "file"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    ended = run("make_parakeet_model.py", "tiny", tmp_path / folder)

    assert ended.returncode == 1
    assert ended.stderr.startswith("make_parakeet_model.py: ")
    assert ended.stderr.count("\n") == 1


def test_batches_are_compared_with_onnx_asr_one_by_one(parakeet_folder: Path) -> None:
    measured = run(
        "compare_parakeet_batching.py", parakeet_folder, "--rounds", "1", "--windows", "3", "--batches", "2", "3"
    )
    rows = [line for line in measured.stdout.splitlines() if line.startswith("| ")]

    assert measured.returncode == 0, measured.stderr
    assert "tokens identical" in measured.stdout
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == [
        "onnx-asr, one by one",
        "batches of 2",
        "batches of 3",
    ]


def test_a_folder_without_a_parakeet_is_refused(tmp_path: Path) -> None:
    refused = run("compare_parakeet_batching.py", tmp_path)

    assert refused.returncode == 2
    assert "is not a Parakeet TDT in ONNX" in refused.stderr
