"""The loops of shell around the AWS CLI, with a CLI that writes down how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DATA, ROOT

LOOPS = ("invoke_loop.sh", "invoke_async_loop.sh")


@pytest.fixture
def toolbox(tmp_path: Path) -> dict[str, str]:
    """A PATH with an AWS CLI that writes down how it is called and answers as it is told."""
    program = tmp_path / "aws"
    program.write_text(
        """#!/usr/bin/env bash
echo "$*" >> "$LOG"
case "$*" in
    *invoke-endpoint-async*)
        [ -z "${REFUSED:-}" ] || { echo "An error occurred (ValidationError)" >&2; exit 254; }
        printf 's3://out/1.out\\ts3://failed/1-error.out\\n' ;;
    *invoke-endpoint*)
        [ -z "${REFUSED:-}" ] || { echo "An error occurred (ModelError)" >&2; exit 254; }
        printf '{"text": "Ja."}' > "${@: -1}" ;;
    *"head-object --bucket ${THERE:-nothing}"*) exit 0 ;;
    *) exit 254 ;;
esac
"""
    )
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}


def loop(toolbox: dict[str, str], name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / name, "--endpoint", "e", "--every", "0", *arguments],
        env={**toolbox, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(("refused", "status", "word"), [("", 0, "ok"), ("yes", 1, "failed")])
def test_the_loop_calls_so_often_and_tells_status_and_latency(
    refused: str, status: int, word: str, toolbox: dict[str, str]
) -> None:
    ended = loop(toolbox, "invoke_loop.sh", "--times", "3", str(DATA / "silence.wav"), REFUSED=refused)

    assert ended.returncode == status
    lines = ended.stdout.splitlines()
    assert [line.split()[1:3] for line in lines[:3]] == [[f"{number}/3", word] for number in (1, 2, 3)]
    assert lines[3] == f"3 calls, {3 * status} failed"
    assert Path(toolbox["LOG"]).read_text().count("invoke-endpoint --endpoint-name e --body fileb://") == 3


@pytest.mark.parametrize(
    ("there", "status", "end"),
    [
        ("out", 0, "2 jobs, 0 failed or refused, 0 still running"),
        ("failed", 1, "2 jobs, 2 failed or refused, 0 still running"),
        ("none", 1, "2 jobs, 0 failed or refused, 2 still running"),
    ],
)
def test_the_asynchronous_loop_waits_for_transcripts_and_failures(
    there: str, status: int, end: str, toolbox: dict[str, str]
) -> None:
    ended = loop(toolbox, "invoke_async_loop.sh", "--times", "2", "--wait", "0", "s3://in/a.wav", THERE=there)

    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (status, end)
    assert ("still running, and will go on: s3://out/1.out s3://out/1.out" in ended.stderr) == (there == "none")


def test_a_refused_submission_is_told_and_not_waited_for(toolbox: dict[str, str]) -> None:
    ended = loop(toolbox, "invoke_async_loop.sh", "--times", "1", "s3://in/a.wav", REFUSED="yes")

    assert ended.returncode == 1
    assert "refused    An error occurred (ValidationError)" in ended.stdout
    assert "head-object" not in Path(toolbox["LOG"]).read_text()


@pytest.mark.parametrize("name", LOOPS)
def test_the_loops_are_clean_and_say_what_they_do(name: str) -> None:
    said = subprocess.run([ROOT / "scripts" / name, "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.startswith(f"usage: scripts/{name}")

    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not here")
    checked = subprocess.run(["shellcheck", str(ROOT / "scripts" / name)], capture_output=True, text=True, check=False)
    assert checked.stdout == ""
