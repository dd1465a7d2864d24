"""The training script's door: help, and one line for what the user can mend. Training itself takes an hour."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import train_demo_model  # noqa: E402

TRAINING_SCRIPTS = ["train_demo_model.py", "make_recordings.py", "evaluate_model.py"]


def run(script: str, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if path is None else os.environ | {"PATH": path}
    return subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


@pytest.mark.parametrize("script", TRAINING_SCRIPTS)
def test_help_is_given_without_the_training_packages(script: str) -> None:
    finished = run(script, "--help")

    assert finished.returncode == 0, finished.stderr
    assert "usage:" in finished.stdout
    assert "pip install -r requirements-train.txt" in finished.stdout


def test_missing_packages_name_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_demo_model, "PACKAGES", ("numpy", "no_such_package"))

    with pytest.raises(train_demo_model.MissingPackagesError, match=r"no_such_package; run: pip install -r \S+$"):
        train_demo_model.require_packages()


def test_missing_espeak_gets_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_demo_model, "PACKAGES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["train_demo_model.py", "--work", str(tmp_path), "--only", "speech"])

    status = train_demo_model.main()

    assert status == 2
    assert capsys.readouterr().err == (
        "train_demo_model: espeak-ng is not installed, and all speech is made by it; run: apt-get install espeak-ng\n"
    )


def test_recordings_without_espeak_get_one_line_and_status_2(tmp_path: Path) -> None:
    finished = run("make_recordings.py", "test-data", "--out", str(tmp_path), path=str(tmp_path))

    assert finished.returncode == 2
    assert finished.stderr.splitlines() == [
        "make_recordings: espeak-ng is not installed, and all speech is made by it; run: apt-get install espeak-ng"
    ]


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch comes with requirements-train.txt")
def test_exporting_before_training_says_what_is_missing(tmp_path: Path) -> None:
    finished = run("train_demo_model.py", "--work", str(tmp_path), "--only", "export", "--out", str(tmp_path / "out"))

    assert finished.returncode == 2
    assert "checkpoint.pt" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
