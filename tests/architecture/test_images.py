"""What the Dockerfiles promise, read as text; scripts/run_image_check.py asks an image that was built."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.conftest import ROOT
from transcriber.settings import Settings

NAMES = ["Dockerfile", "Dockerfile.gpu"]
MODELS = {"Dockerfile": "demo", "Dockerfile.gpu": "Systran/faster-whisper-large-v3"}
IMAGE_LOCKS = {"Dockerfile": "requirements.txt", "Dockerfile.gpu": "requirements-gpu.txt"}
COMPUTE_TYPES = {"Dockerfile": "default", "Dockerfile.gpu": "float16"}

ONLY_ON_GPU = {"NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CUDA_CACHE_PATH"}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, its continued lines joined."""

    word: str
    rest: str


def instructions(name: str) -> list[Instruction]:
    lines = [line for line in (ROOT / name).read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def stage(name: str, number: int) -> list[Instruction]:
    """Return the instructions of a stage, counted from 0; the last one is the image."""
    stages: list[list[Instruction]] = []
    for instruction in instructions(name):
        if instruction.word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(instruction)
    return stages[number]


def image(name: str) -> list[Instruction]:
    return stage(name, -1)


def environment(name: str) -> dict[str, str]:
    pairs = [pair for instruction in image(name) if instruction.word == "ENV" for pair in shlex.split(instruction.rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def only(name: str, word: str) -> str:
    (instruction,) = [instruction for instruction in image(name) if instruction.word == word]
    return instruction.rest


@pytest.mark.parametrize("name", NAMES)
def test_what_runs_is_written_in_exec_form_and_gets_the_argument_serve(name: str) -> None:
    assert json.loads(only(name, "ENTRYPOINT")) == ["python", "/opt/program/serve"]
    assert json.loads(only(name, "CMD")) == ["serve"]
    assert isinstance(json.loads(only(name, "HEALTHCHECK").split("CMD", 1)[1]), list)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_stands_between_sagemaker_and_the_service(name: str) -> None:
    """SageMaker expects root, refuses tini as the entry point, and looks at port 8080."""
    assert not [instruction for instruction in instructions(name) if instruction.word in {"USER", "VOLUME", "ONBUILD"}]
    assert "tini" not in (ROOT / name).read_text("utf-8")
    assert only(name, "EXPOSE") == "8080"


@pytest.mark.parametrize("name", NAMES)
def test_image_may_share_an_endpoint_and_does_not_claim_streams_both_ways(name: str) -> None:
    labels = dict(pair.split("=", 1) for pair in shlex.split(only(name, "LABEL")))

    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert not [label for label in labels if "bidirectional" in label]
    assert {"org.opencontainers.image.title", "org.opencontainers.image.description"} <= labels.keys()


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_stands_on_the_base_that_can_be_chosen(name: str) -> None:
    first, *_ = instructions(name)
    bases = [instruction.rest for instruction in instructions(name) if instruction.word == "FROM"]

    assert (first.word, first.rest) == ("ARG", "BASE_IMAGE=python:3.11-slim-bookworm")
    assert bases == ["${BASE_IMAGE} AS dependencies", "dependencies AS weights", "${BASE_IMAGE}"]


@pytest.mark.parametrize("name", NAMES)
def test_weights_lie_below_the_code_and_outside_what_sagemaker_mounts_over(name: str) -> None:
    copies = [instruction.rest for instruction in image(name) if instruction.word == "COPY"]

    assert copies[0] == "--from=weights /opt/models /opt/models"
    assert [copy for copy in copies if "transcriber" in copy] == copies[-1:]
    assert environment(name)["MODEL_CACHE_DIR"] == "/opt/models"
    assert not [instruction for instruction in instructions(name) if "/opt/ml" in instruction.rest]


@pytest.mark.parametrize("name", NAMES)
def test_model_that_is_baked_is_the_model_that_is_served(name: str) -> None:
    baked = [instruction.rest for instruction in stage(name, 1) if instruction.word == "ARG"]
    served = [instruction.rest for instruction in image(name) if instruction.word == "ARG"]

    assert baked == [f"MODEL_ID={MODELS[name]}", "MODEL_REVISION=main", f"COMPUTE_TYPE={COMPUTE_TYPES[name]}"]
    assert served == [f"MODEL_ID={MODELS[name]}", f"COMPUTE_TYPE={COMPUTE_TYPES[name]}"]
    assert environment(name)["MODEL_ID"] == "${MODEL_ID}"
    assert environment(name)["COMPUTE_TYPE"] == "${COMPUTE_TYPE}"


@pytest.mark.parametrize("name", NAMES)
def test_model_that_is_baked_needs_no_code(name: str) -> None:
    """Else every change of the code would fetch gigabytes anew."""
    copied = [instruction.rest for instruction in stage(name, 0) + stage(name, 1) if instruction.word == "COPY"]

    assert copied == [
        "${REQUIREMENTS} /build/",
        "scripts/fetch_model.py /build/scripts/",
        "models/demo /build/models/demo",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_image_holds_all_that_serves_and_nothing_else(name: str) -> None:
    copied = {
        word
        for instruction in image(name)
        if instruction.word == "COPY" and not instruction.rest.startswith("--from")
        for word in instruction.rest.split()[:-1]
    }

    assert copied == {"serve", "app.py", "inference.py", "gunicorn.conf.py", "transcriber"}


@pytest.mark.parametrize("name", NAMES)
def test_secrets_come_as_build_secrets_and_stay_out_of_the_image(name: str) -> None:
    named = [instruction.rest for instruction in instructions(name) if instruction.word in {"ENV", "ARG", "LABEL"}]

    assert not re.search(r"(?i)token|secret|password|credential|api_key|access_key", " ".join(named))
    assert [i.rest for i in stage(name, 1) if i.word == "RUN" and "--mount=type=secret,id=hf_token" in i.rest]
    assert not [instruction for instruction in image(name) if "type=secret" in instruction.rest]


@pytest.mark.parametrize("name", NAMES)
def test_requirements_are_installed_by_hash_and_without_a_compiler(name: str) -> None:
    (install,) = [i.rest for i in instructions(name) if i.word == "RUN" and "pip" in i.rest]
    chosen = [instruction.rest for instruction in stage(name, 0) if instruction.word == "ARG"]

    for option in ("--require-hashes", "--only-binary=:all:", "--no-cache-dir", "--no-deps", "/build/${REQUIREMENTS}"):
        assert option in install
    assert chosen == [f"REQUIREMENTS={IMAGE_LOCKS[name]}"]
    assert not re.search(r"\b(apt|apt-get|gcc|curl|wget|ffmpeg|index-url)\b", (ROOT / name).read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_only_tmp_is_written_to(name: str) -> None:
    chosen = environment(name)

    assert chosen["PYTHONDONTWRITEBYTECODE"] == "1"
    for variable in {"HF_HOME", "CUDA_CACHE_PATH"} & chosen.keys():
        assert chosen[variable].startswith("/tmp/")  # noqa: S108


@pytest.mark.parametrize("name", NAMES)
def test_settings_of_the_image_are_settings_of_the_service(name: str) -> None:
    values = {key.lower(): value for key, value in environment(name).items() if key.lower() in Settings.model_fields}

    Settings.model_validate(values)
    assert {"model_id", "model_cache_dir", "device", "hf_home"} <= values.keys()
    assert values["model_cache_dir"] == Settings().model_cache_dir
    assert values["hf_home"] == Settings().hf_home


def test_images_differ_in_their_requirements_their_model_and_their_device_only() -> None:
    def plain(name: str) -> list[str]:
        return [
            instruction.rest.replace(IMAGE_LOCKS[name], "LOCK")
            .replace(f"MODEL_ID={MODELS[name]}", "MODEL_ID")
            .replace(f"COMPUTE_TYPE={COMPUTE_TYPES[name]}", "COMPUTE_TYPE")
            .replace("(GPU)", "(CPU)")
            for instruction in instructions(name)
            if instruction.word != "ENV"
        ]

    cpu, gpu = environment("Dockerfile"), environment("Dockerfile.gpu")

    assert plain("Dockerfile") == plain("Dockerfile.gpu")
    assert {key for key in cpu.keys() | gpu.keys() if cpu.get(key) != gpu.get(key)} == ONLY_ON_GPU | {"DEVICE"}


def test_gpu_image_lets_an_old_driver_reach_the_check_that_names_it() -> None:
    gpu = environment("Dockerfile.gpu")

    assert (gpu["NVIDIA_VISIBLE_DEVICES"], gpu["NVIDIA_DRIVER_CAPABILITIES"]) == ("all", "compute,utility")
    assert gpu["DEVICE"] == "cuda"
    assert "NVIDIA_REQUIRE_CUDA" not in gpu


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_left_to_serve_which_knows_the_cores(name: str) -> None:
    assert "GLIBC_TUNABLES" not in environment(name)


def is_sent(path: str) -> bool:
    """Say whether the builder is given a file: the last line of .dockerignore that matches decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.startswith("!")
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        if any(matches(folder, pattern.removeprefix("!")) for folder in above):
            sent = wanted
    return sent


def matches(path: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch(path.rsplit("/", 1)[-1], pattern.removeprefix("**/"))
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".git/config", False),
        (".venv/bin/python", False),
        ("tests/conftest.py", False),
        ("docs/images.md", False),
        ("fleet/__init__.py", False),
        ("scripts/train_demo_model.py", False),
        ("requirements-dev.txt", False),
        ("transcriber/__pycache__/errors.cpython-311.pyc", False),
        ("a file of somebody", False),
        ("transcriber/engines/whisper.py", True),
        ("models/demo/model.bin", True),
        ("scripts/fetch_model.py", True),
        ("serve", True),
        ("app.py", True),
        ("inference.py", True),
        ("gunicorn.conf.py", True),
        ("requirements.txt", True),
        ("requirements-gpu.txt", True),
        ("requirements-parakeet.txt", True),
        ("requirements-parakeet-gpu.txt", True),
        ("requirements-voxtral.txt", True),
    ],
)
def test_builder_is_given_what_the_images_are_made_of(path: str, expected: bool) -> None:
    assert is_sent(path) == expected
