from __future__ import annotations

from pathlib import Path

import pytest

from transcriber.engines import weights
from transcriber.errors import ModelUnavailable
from transcriber.settings import load


def model_at(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / weights.MODEL_FILE).write_bytes(b"")
    return folder


def find(tmp_path: Path, **environ: str) -> Path:
    environ.setdefault("MODEL_CACHE_DIR", str(tmp_path / "baked"))
    environ.setdefault("HF_HOME", str(tmp_path / "hf"))
    return weights.find(load(environ), sagemaker_folder=tmp_path / "mounted", demo_folder=tmp_path / "demo")


def test_an_absolute_path_wins(tmp_path: Path) -> None:
    model_at(tmp_path / "mounted")
    mine = model_at(tmp_path / "mine")

    assert find(tmp_path, MODEL_ID=str(mine)) == mine


def test_what_sagemaker_mounts_goes_before_what_is_baked(tmp_path: Path) -> None:
    mounted = model_at(tmp_path / "mounted")
    model_at(tmp_path / "baked" / "Systran__faster-whisper-tiny")

    assert find(tmp_path, MODEL_ID="Systran/faster-whisper-tiny") == mounted


def test_a_tar_of_a_folder_is_found_one_level_below(tmp_path: Path) -> None:
    inner = model_at(tmp_path / "mounted" / "faster-whisper-tiny")

    assert find(tmp_path, MODEL_ID="Systran/faster-whisper-tiny") == inner


def test_an_empty_mount_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mounted").mkdir()
    baked = model_at(tmp_path / "baked" / "Systran__faster-whisper-tiny")

    assert find(tmp_path, MODEL_ID="Systran/faster-whisper-tiny") == baked


def test_the_demo_model_is_in_the_project(tmp_path: Path) -> None:
    demo = model_at(tmp_path / "demo")

    assert find(tmp_path) == demo


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds no model; this container serves a Whisper .* or a Parakeet"):
        find(tmp_path, MODEL_ID=str(tmp_path))


def test_a_missing_demo_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="build it with MODEL_ID=demo"):
        find(tmp_path)


def test_an_id_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="neither demo, an absolute path nor a Hugging Face id"):
        find(tmp_path, MODEL_ID="a/b/c")


def test_without_the_hub_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(ModelUnavailable, match="bake it into the image"):
        find(tmp_path, MODEL_ID="nobody/nothing")
