"""The documents tell the truth about files, targets and commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = sorted(path for path in (ROOT / "scripts").glob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_target_that_a_page_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for target in re.findall(r"(?:`|^)make ([a-z][a-z-]+)", page.read_text("utf-8"), flags=re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), f"{page.name}: make {target}"


@pytest.mark.parametrize("name", ["reliability.md", "security.md"])
def test_every_test_that_a_page_names_is_there(name: str) -> None:
    page = (ROOT / "docs" / name).read_text("utf-8")
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("*.py"))
    named = re.findall(r"`(?:tests/\S+::)?((?:test_|Test)\w+)`", page)

    assert len(named) > 5
    for test in named:
        assert re.search(rf"^\s*(?:def|class) {test}\b", tests, flags=re.MULTILINE), test
    for path in re.findall(r"`(tests/[\w/.]+)", page):
        assert (ROOT / path).exists(), path


def test_every_recording_that_the_readme_sends_is_there() -> None:
    named = re.findall(r"tests/data/[\w.-]+\.\w+", (ROOT / "README.md").read_text("utf-8"))

    assert named
    for path in named:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_says_what_it_does(script: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert "usage:" in ended.stdout


@pytest.mark.parametrize("name", ["serve", ".ci/run"])
def test_what_is_run_can_be_run(name: str) -> None:
    assert os.access(ROOT / name, os.X_OK)


def test_ci_runs_check_and_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()

    assert [line for line in lines if line.startswith("make")] == ["make check", "make test"]
