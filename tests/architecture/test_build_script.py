"""What scripts/build_image.sh makes of its arguments, with a builder that only says what it was told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT


def build(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "build_image.sh", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={"PATH": path},
    )


def test_build_script_says_what_it_does() -> None:
    ended = build("--help")

    assert ended.returncode == 0
    assert ended.stdout.startswith("usage:")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--gpus"], "unknown option --gpus"),
        (["--model"], "--model wants a value"),
        (["--builder", "kaniko"], "docker or buildah, not kaniko"),
        (["--family", "owl"], "whisper, parakeet or voxtral, not owl"),
        ([], "neither a docker daemon nor buildah is here"),
    ],
)
def test_build_script_refuses_what_it_does_not_know_in_one_line(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    """Whether or not a builder is there, which it is not in this folder."""
    for program in ("bash", "dirname"):
        (tmp_path / program).symlink_to(shutil.which(program) or program)

    ended = build(*arguments, path=str(tmp_path))

    assert ended.returncode == 2
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("daemon_answers", "arguments", "expected"),
    [
        (
            True,
            [],
            (
                "docker build --provenance=false --output type=docker --file {root}/Dockerfile --platform linux/amd64"
                " --tag transcriber:cpu {root}"
            ),
        ),
        (
            False,
            ["--gpu", "--model", "acme/whisper", "--revision", "v2"],
            (
                "buildah build --format docker --layers --file {root}/Dockerfile.gpu --platform linux/amd64"
                " --tag transcriber:gpu --build-arg MODEL_ID=acme/whisper --build-arg MODEL_REVISION=v2 {root}"
            ),
        ),
        (
            True,
            ["--family", "parakeet", "--compute-type", "int8"],
            (
                "docker build --provenance=false --output type=docker --file {root}/Dockerfile --platform linux/amd64"
                " --tag transcriber:parakeet-cpu --build-arg REQUIREMENTS=requirements-parakeet.txt"
                " --build-arg MODEL_ID=istupakov/parakeet-tdt-0.6b-v3-onnx --build-arg COMPUTE_TYPE=int8 {root}"
            ),
        ),
        (
            True,
            ["--gpu", "--family", "voxtral"],
            (
                "docker build --provenance=false --output type=docker --file {root}/Dockerfile.gpu"
                " --platform linux/amd64 --tag transcriber:voxtral-gpu"
                " --build-arg REQUIREMENTS=requirements-voxtral.txt"
                " --build-arg MODEL_ID=mistralai/Voxtral-Mini-3B-2507 --build-arg COMPUTE_TYPE=default {root}"
            ),
        ),
        (
            True,
            ["--gpu", "--family", "parakeet", "--model", "acme/parakeet", "--tag", "x"],
            (
                "docker build --provenance=false --output type=docker --file {root}/Dockerfile.gpu"
                " --platform linux/amd64 --tag x --build-arg REQUIREMENTS=requirements-parakeet-gpu.txt"
                " --build-arg COMPUTE_TYPE=default --build-arg MODEL_ID=acme/parakeet {root}"
            ),
        ),
        (
            True,
            ["--builder", "buildah", "--base", "acme/python", "--tag", "x", "--token-file", "t", "--", "--no-cache"],
            (
                "buildah build --format docker --layers --file {root}/Dockerfile --platform linux/amd64 --tag x"
                " --build-arg BASE_IMAGE=acme/python --secret id=hf_token,src=t --no-cache {root}"
            ),
        ),
    ],
)
def test_build_script_hands_the_choices_on_to_the_builder(
    daemon_answers: bool, arguments: list[str], expected: str, tmp_path: Path
) -> None:
    for builder, answer in (("docker", "true" if daemon_answers else "false"), ("buildah", "true")):
        program = tmp_path / builder
        program.write_text(f'#!/bin/sh\n[ "$1" = info ] && exec {answer}\necho {builder} "$@"\n')
        program.chmod(0o755)

    ended = build(*arguments, path=f"{tmp_path}:{os.environ['PATH']}")

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == expected.format(root=ROOT)
