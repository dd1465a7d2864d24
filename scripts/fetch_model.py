#!/usr/bin/env python3
"""Put a model's weights where the container looks for them, as the images do while they are built.

The folder is INTO/<MODEL_ID with / as __>. `demo` is the model of this repository and needs no network; anything else
comes from the Hugging Face hub.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

DEMO_FOLDER = Path(__file__).resolve().parents[1] / "models" / "demo"

FILES = [
    *("model.bin", "config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*"),
    *("encoder-model*.onnx", "encoder-model*.onnx.data", "decoder_joint-model*.onnx", "vocab.txt"),
    *("generation_config.json", "model*.safetensors", "model.safetensors.index.json", "tekken.json"),
]
"""What a Whisper in CTranslate2's format, a Parakeet in ONNX and a Voxtral in transformers' format consist of; anything
else in a repository stays there, such as a Voxtral's weights in Mistral's own format. The container's list, repeated
so that this file needs none of its code: a layer of weights must not change when the code does."""

NEEDED = (
    ("model.bin", "config.json", "tokenizer.json"),
    ("encoder-model*.onnx", "decoder_joint-model*.onnx", "vocab.txt"),
    ("model*.safetensors", "config.json", "preprocessor_config.json", "tekken.json"),
)
"""Without all of one row it does not start, or asks the hub for more when it does."""

MEGABYTE = 1_000_000


class FetchError(Exception):
    """The model cannot be had; the message is one line for whoever builds the image."""


def main() -> None:
    """Fetch the model that the command line names, or end with status 1 and one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_id", metavar="MODEL_ID", help="demo, or an id such as Systran/faster-whisper-large-v3")
    parser.add_argument("--into", type=Path, required=True, help="folder below which the model's folder is made")
    parser.add_argument(
        "--compute-type",
        default="default",
        metavar="TYPE",
        help="of a model that is there in several: int8, or anything else for 32 bits (default: %(default)s)",
    )
    parser.add_argument("--revision", default="main", help="branch, tag or commit on the hub (default: main)")
    parser.add_argument(
        "--token-file",
        type=Path,
        default=Path("/run/secrets/hf_token"),
        help="file with a hub token, for models that need one; it may be absent (default: %(default)s)",
    )
    arguments = parser.parse_args()
    try:
        folder = fetch(
            arguments.model_id,
            into=arguments.into,
            revision=arguments.revision,
            compute_type=arguments.compute_type,
            token=arguments.token_file.read_text("utf-8").strip() if arguments.token_file.is_file() else None,
        )
    except FetchError as error:
        sys.exit(f"fetch_model: {error}")
    print(f"fetch_model: {arguments.model_id} lies in {folder}, {_size(folder) / MEGABYTE:,.1f} MB")


def unwanted(compute_type: str) -> list[str]:
    """Return patterns of what is there in several precisions, for those that are not asked for.

    The container's own, like `FILES`.
    """
    return ["encoder-model.onnx", "encoder-model.onnx.data"] if compute_type == "int8" else ["*-model?int8.onnx"]


def fetch(
    model_id: str,
    *,
    into: Path,
    revision: str,
    token: str | None,
    compute_type: str = "default",
    demo_folder: Path = DEMO_FOLDER,
) -> Path:
    """Put a model below a folder, completely or not at all, and return where it lies.

    Raises:
        FetchError: There is no such model, it is of no family that is known, or the hub does not give it.
    """
    target = into / model_id.replace("/", "__")
    if target.exists():
        raise FetchError(f"{target} is there already; remove it to fetch the model anew")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as workplace:
        folder = Path(workplace) / "model"
        folder.mkdir(mode=0o755)
        if model_id == "demo":
            _copy(demo_folder, folder)
        else:
            _download(model_id, folder, revision=revision, token=token, unwanted=unwanted(compute_type))
        folder.rename(target)
    return target


def _copy(source: Path, folder: Path) -> None:
    files = [path for pattern in FILES for path in source.glob(pattern)]
    _check("demo", (path.name for path in files))
    for path in files:
        shutil.copyfile(path, folder / path.name)


def _download(model_id: str, folder: Path, *, revision: str, token: str | None, unwanted: list[str]) -> None:
    # Its bars are drawn for a terminal, and a build's log is none; the client reads this when it is imported.
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    import httpx2  # noqa: PLC0415 - the hub client's transport, whose failures it lets through
    from huggingface_hub import errors, snapshot_download  # noqa: PLC0415 - takes half a second, and demo needs no hub

    try:
        plan = snapshot_download(
            model_id,
            revision=revision,
            token=token,
            local_dir=folder,
            allow_patterns=FILES,
            ignore_patterns=unwanted,
            dry_run=True,
        )
        _check(model_id, (file.filename for file in plan))
        total = sum(file.file_size or 0 for file in plan)
        print(f"fetch_model: {model_id}, commit {plan[0].commit_hash}, {total / MEGABYTE:,.1f} MB", flush=True)
        with _progress_of(folder, total):
            snapshot_download(
                model_id,
                revision=plan[0].commit_hash,
                token=token,
                local_dir=folder,
                allow_patterns=FILES,
                ignore_patterns=unwanted,
            )
    except (OSError, ValueError, httpx2.HTTPError, errors.XetDownloadError) as error:
        reason = (error.__cause__ or error) if isinstance(error, errors.DryRunError) else error
        raise FetchError(f"{model_id} cannot be fetched: {_advice(reason)}") from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes about what it downloaded


def _advice(reason: BaseException) -> str:
    from huggingface_hub import errors  # noqa: PLC0415

    if isinstance(reason, errors.HfHubHTTPError):
        for kind, sentence in (
            (errors.GatedRepoError, "its owner wants a token that was granted access; give one with --token-file"),
            (errors.RepositoryNotFoundError, "the hub shows no such model, or only to a token that may read it"),
            (errors.RevisionNotFoundError, "the hub has the model, but not this revision of it"),
        ):
            if isinstance(reason, kind):
                return sentence
        return f"the hub answers with status {reason.response.status_code}; try again later"
    if isinstance(reason, errors.HFValidationError):
        return "a model is demo, or an id such as Systran/faster-whisper-large-v3"
    if isinstance(reason, OSError) and reason.errno:
        return os.strerror(reason.errno)
    return f"the hub cannot be reached ({type(reason).__name__}); demo is the only model that needs no network"


def _check(model_id: str, names: Iterable[str]) -> None:
    there = list(names)
    missing = min(([mark for mark in needed if not fnmatch.filter(there, mark)] for needed in NEEDED), key=len)
    if missing:
        raise FetchError(
            f"{model_id} lacks {', '.join(sorted(missing))}; it must be a Whisper in CTranslate2's format, a "
            "Parakeet TDT in ONNX or a Voxtral in transformers' format"
        )


@contextmanager
def _progress_of(folder: Path, total: int, *, every_s: float = 10.0) -> Iterator[None]:
    """Print how much of the download has arrived, while the block runs."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(every_s):
            print(f"fetch_model: {_size(folder) / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB", flush=True)

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _size(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        # The client renames and removes its files while they are counted.
        try:
            sizes += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return sizes


if __name__ == "__main__":
    main()
