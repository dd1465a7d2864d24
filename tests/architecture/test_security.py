"""What the container's code never does; docs/security.md says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

CONTAINER = [
    ROOT / "app.py",
    ROOT / "inference.py",
    ROOT / "gunicorn.conf.py",
    ROOT / "serve",
    *sorted((ROOT / "transcriber").rglob("*.py")),
]
READS_CALLERS_WORDS = [
    path
    for path in CONTAINER
    if path.name == "app.py" or path.parent.name in {"wire", "rendering"} or path.name in {"sources.py", "places.py"}
]

FORBIDDEN_MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "dill",
    "joblib",
    "torch",
    "yaml",
    "pty",
    "code",
    "xmlrpc",
    "telnetlib",
}
"""What runs what it reads, or opens a shell."""

FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "input",
    "breakpoint",
    "system",
    "popen",
    "getoutput",
    "getstatusoutput",
    "mktemp",
    "import_module",
}

EXCUSED = {
    "transcriber/engines/catalogue.py": {"import_module"},  # of the engines that families.py lists
    "transcriber/engines/voxtral_network.py": {"torch"},  # computes, and loads nothing
}

MAY_START_PROCESSES = {
    "transcriber/audio/decoders.py": "the decoders' template, a module of ours",
    "serve": "becomes gunicorn",
}

TOUCH_FILES = {
    "open",
    "Path",
    "listdir",
    "scandir",
    "remove",
    "unlink",
    "rename",
    "makedirs",
    "mkdir",
    "chdir",
    "fdopen",
}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name):
                    yield name, node
                case ast.Attribute(attr=name, value=ast.Name(id="re")) if name == "compile":
                    pass  # a pattern, no code
                case ast.Attribute(attr=name):
                    yield name, node


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CONTAINER, ids=name_of)
def test_nothing_that_is_read_is_run(path: Path) -> None:
    excused = EXCUSED.get(name_of(path), set())
    assert not (imports(path) & FORBIDDEN_MODULES) - excused
    assert not ({name for name, _ in calls(path)} & FORBIDDEN_CALLS) - excused


@pytest.mark.parametrize("path", CONTAINER, ids=name_of)
def test_there_is_no_shell(path: Path) -> None:
    for name, call in calls(path):
        assert not any(word.arg == "shell" for word in call.keywords), name
    starts = "subprocess" in imports(path) or any(
        name.startswith(("exec", "spawn", "posix_spawn")) for name, _ in calls(path)
    )

    assert starts == (name_of(path) in MAY_START_PROCESSES)


@pytest.mark.parametrize("path", CONTAINER, ids=name_of)
def test_numpy_loads_no_objects(path: Path) -> None:
    for name, call in calls(path):
        assert name not in {"load", "save"} or not any(word.arg == "allow_pickle" for word in call.keywords)


@pytest.mark.parametrize("path", READS_CALLERS_WORDS, ids=name_of)
def test_what_reads_a_callers_words_opens_no_path(path: Path) -> None:
    names = {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert not imports(path) & {"os", "shutil", "tempfile", "glob", "subprocess"}
    assert "pathlib" not in imports(path) or "Path" not in names  # pure paths are words
    assert not {name for name, _ in calls(path)} & TOUCH_FILES


def test_only_one_room_makes_files_of_what_callers_send() -> None:
    makers = {name_of(path) for path in CONTAINER if "tempfile" in imports(path)}

    assert makers == {"transcriber/audio/disk.py", "transcriber/engines/suppression.py"}
