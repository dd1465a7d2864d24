"""What import-linter cannot see: the files at the top, and the scripts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "app.py": {
        "inference",
        "transcriber",  # only `from transcriber import settings`
        "transcriber.audio.disk",
        "transcriber.audio.sources",
        "transcriber.audio.spool",
        "transcriber.errors",
        "transcriber.observability",
        "transcriber.observability.accounts",
        "transcriber.observability.ledger",
        "transcriber.observability.metrics",
        "transcriber.observability.timeline",
        "transcriber.options",
        "transcriber.rendering",
        "transcriber.rendering.documents",
        "transcriber.rendering.formats",
        "transcriber.settings",
        "transcriber.transcript",
        "transcriber.wire",
        "transcriber.wire.caller",
        "transcriber.wire.job",
    },
    "serve": {"transcriber", "transcriber.engines", "transcriber.errors"},
    "gunicorn.conf.py": {"transcriber"},
}
NEVER = {
    "app.py": {"boto3", "numpy", "ctranslate2", "faster_whisper", "av"},
    "inference.py": {
        "flask",
        "boto3",
        "ctranslate2",
        "faster_whisper",
        "transcriber.wire",
        "transcriber.rendering",
        "transcriber.engines.whisper",
        "transcriber.engines.whisper_model",
    },
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def ours(modules: set[str]) -> set[str]:
    return {module for module in modules if module.split(".")[0] in {"transcriber", "inference", "app"}}


@pytest.mark.parametrize("name", ALLOWED)
def test_the_files_at_the_top_import_what_the_drawing_allows(name: str) -> None:
    assert ours(imports(ROOT / name)) <= ALLOWED[name]


@pytest.mark.parametrize("name", NEVER)
def test_the_files_at_the_top_do_not_know_what_is_not_theirs(name: str) -> None:
    found = imports(ROOT / name)

    assert not {
        module for module in found for other in NEVER[name] if module == other or module.startswith(f"{other}.")
    }


def test_nothing_in_the_container_imports_what_stands_above_it() -> None:
    for path in (ROOT / "transcriber").rglob("*.py"):
        assert not {module.split(".")[0] for module in imports(path)} & {
            "app",
            "inference",
            "flask",
            "fleet",
            "scripts",
        }


def test_only_one_file_talks_to_s3_and_only_one_reads_the_environment() -> None:
    users: dict[str, set[str]] = {"boto3": set(), "os.environ": set()}
    for path in (ROOT / "transcriber").rglob("*.py"):
        name = str(path.relative_to(ROOT / "transcriber"))
        if any(module.split(".")[0] == "boto3" for module in imports(path) - {"boto3.exceptions"}):
            users["boto3"].add(name)
        if "os.environ" in path.read_text("utf-8"):
            users["os.environ"].add(name)

    assert users == {"boto3": {"audio/fetch.py"}, "os.environ": {"settings.py"}}
