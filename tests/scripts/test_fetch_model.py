"""The baking of weights: from this repository, and from a hub that speaks the Hugging Face hub's HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT
from transcriber.engines import families, weights

SCRIPT = ROOT / "scripts" / "fetch_model.py"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "a token that may read it"
MODEL = {
    "model.bin": b"weights" * 1000,
    "config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
    "vocabulary.json": b"[]",
    "README.md": b"not needed to transcribe",
}
PARAKEET = {
    "encoder-model.onnx": b"graph",
    "encoder-model.onnx.data": b"weights" * 1000,
    "encoder-model.int8.onnx": b"graph and weights",
    "decoder_joint-model.onnx": b"decoder",
    "decoder_joint-model.int8.onnx": b"smaller decoder",
    "nemo128.onnx": b"features",
    "vocab.txt": b"<blk> 0",
    "config.json": b"{}",
}
VOXTRAL = {
    "model-00001-of-00002.safetensors": b"weights" * 1000,
    "model-00002-of-00002.safetensors": b"more weights",
    "model.safetensors.index.json": b"{}",
    "consolidated.safetensors": b"the same once more" * 1000,
    "config.json": b"{}",
    "generation_config.json": b"{}",
    "params.json": b"{}",
    "preprocessor_config.json": b"{}",
    "tekken.json": b"{}",
}
REPOSITORIES = {
    "acme/whisper": MODEL,
    "acme/whisper-gated": MODEL,
    "acme/parakeet": PARAKEET,
    "acme/voxtral": VOXTRAL,
    "acme/other": {"model.safetensors": b"", "config.json": b"{}"},
}


class Hub(BaseHTTPRequestHandler):
    """The few answers that a download needs."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
        else:
            name, rest = "/".join(parts[:2]), parts[2:]
        files = REPOSITORIES.get(name)
        if files is None:
            self.answer(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif name.endswith("gated") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.answer(403, b"", {"X-Error-Code": "GatedRepo"})
        elif rest[1] not in {"main", COMMIT}:
            self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif rest[0] == "revision":
            self.answer(200, json.dumps({"id": name, "sha": COMMIT}).encode(), {})
        elif rest[0] == "tree":
            tree = [{"type": "file", "path": path, "size": len(data), "oid": path} for path, data in files.items()]
            self.answer(200, json.dumps(tree).encode(), {})
        else:
            self.answer(200, files[rest[2]], {"ETag": f'"{rest[2]}"', "X-Repo-Commit": COMMIT})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def fetch(
    *arguments: str, into: Path, hub: str = "http://127.0.0.1:1", token: str | None = None
) -> subprocess.CompletedProcess[str]:
    token_file = into.parent / "token"
    if token is not None:
        token_file.write_text(token + "\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.run(
        [sys.executable, SCRIPT, "--into", into, "--token-file", token_file, *arguments],
        env=environ | {"HF_ENDPOINT": hub, "HF_HOME": str(into.parent / "hub"), "HF_HUB_DISABLE_XET": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_demo_is_copied_and_needs_no_hub(demo_model: Path, tmp_path: Path) -> None:
    ended = fetch("demo", into=tmp_path / "models")

    assert ended.returncode == 0, ended.stderr
    for name in ("model.bin", "config.json", "tokenizer.json"):
        assert (tmp_path / "models" / "demo" / name).read_bytes() == (demo_model / name).read_bytes()


def test_model_of_the_hub_lies_where_the_container_looks_for_it(hub: str, tmp_path: Path) -> None:
    ended = fetch("acme/whisper", into=tmp_path / "models", hub=hub)

    assert ended.returncode == 0, ended.stderr
    assert names(tmp_path / "models") == {"acme__whisper"} | {f"acme__whisper/{name}" for name in MODEL} - {
        "acme__whisper/README.md"
    }
    assert (tmp_path / "models" / "acme__whisper" / "model.bin").read_bytes() == MODEL["model.bin"]
    assert COMMIT in ended.stdout


@pytest.mark.parametrize(
    ("compute_type", "left_out"),
    [
        ("default", {"encoder-model.int8.onnx", "decoder_joint-model.int8.onnx"}),
        ("int8", {"encoder-model.onnx", "encoder-model.onnx.data"}),
    ],
)
def test_parakeet_is_fetched_in_one_precision(hub: str, tmp_path: Path, compute_type: str, left_out: set[str]) -> None:
    ended = fetch("acme/parakeet", "--compute-type", compute_type, into=tmp_path / "models", hub=hub)

    assert ended.returncode == 0, ended.stderr
    assert names(tmp_path / "models" / "acme__parakeet") == PARAKEET.keys() - left_out - {"nemo128.onnx"}


def test_voxtral_is_fetched_in_one_format(hub: str, tmp_path: Path) -> None:
    ended = fetch("acme/voxtral", into=tmp_path / "models", hub=hub)

    assert ended.returncode == 0, ended.stderr
    assert names(tmp_path / "models" / "acme__voxtral") == VOXTRAL.keys() - {"consolidated.safetensors", "params.json"}


def test_revision_may_be_a_commit(hub: str, tmp_path: Path) -> None:
    ended = fetch("acme/whisper", "--revision", COMMIT, into=tmp_path / "models", hub=hub)

    assert ended.returncode == 0, ended.stderr


def test_token_of_the_file_opens_a_gated_model(hub: str, tmp_path: Path) -> None:
    ended = fetch("acme/whisper-gated", into=tmp_path / "models", hub=hub, token=TOKEN)

    assert ended.returncode == 0, ended.stderr
    assert TOKEN not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["acme/whisper-gated"], "--token-file"),
        (["acme/absent"], "the hub shows no such model"),
        (["acme/whisper", "--revision", "v9"], "not this revision"),
        (["acme/other"], "lacks model.bin, tokenizer.json"),
        (["not/an/id"], "a model is demo, or an id such as"),
    ],
)
def test_failure_is_one_line_and_leaves_nothing(arguments: list[str], expected: str, hub: str, tmp_path: Path) -> None:
    ended = fetch(*arguments, into=tmp_path / "models", hub=hub)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"fetch_model: {arguments[0]} ")
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert names(tmp_path / "models") == set()


def test_absent_network_is_one_line(tmp_path: Path) -> None:
    ended = fetch("acme/whisper", into=tmp_path / "models")

    assert ended.returncode == 1
    assert "the hub cannot be reached" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_model_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "models" / "acme__whisper").mkdir(parents=True)

    ended = fetch("acme/whisper", into=tmp_path / "models")

    assert ended.returncode == 1
    assert "is there already" in ended.stderr


def test_same_files_are_baked_and_downloaded_at_start() -> None:
    """The script repeats the container's lists, so that weights do not depend on code."""
    program = "import json, fetch_model as f; print(json.dumps([f.FILES, f.unwanted('int8'), f.unwanted('float16')]))"
    listed = subprocess.run(
        [sys.executable, "-c", program], cwd=SCRIPT.parent, capture_output=True, text=True, check=True
    )
    files, *unwanted = json.loads(listed.stdout)

    assert set(files) == set(weights.FILES)
    assert unwanted == [families.unwanted("int8"), families.unwanted("float16")]
