"""Where the model is, and how it gets there."""

from __future__ import annotations

import logging
from pathlib import Path

from transcriber.engines.families import FAMILIES, SERVED, family_in, unwanted
from transcriber.errors import ModelUnavailable
from transcriber.settings import Settings

log = logging.getLogger(__name__)

SAGEMAKER_FOLDER = Path("/opt/ml/model")
"""Where SageMaker unpacks the model of `CreateModel`, read-only; an empty folder when there is none."""

DEMO_FOLDER = Path(__file__).resolve().parents[2] / "models" / "demo"

MODEL_FILE = "model.bin"
"""A Whisper's weights."""

FILES = sorted({name for family in FAMILIES for name in family.files})
"""What models consist of; anything else in a repository is not downloaded."""


def find(settings: Settings, *, sagemaker_folder: Path = SAGEMAKER_FOLDER, demo_folder: Path = DEMO_FOLDER) -> Path:
    """Return the folder of the model; the first place that has one wins.

    An absolute path in MODEL_ID; the folder that SageMaker mounts; the folder baked into the image; the hub's cache;
    the hub.

    Raises:
        ModelUnavailable: It is in none of these places, and why the hub did not give it.
    """
    model_id = settings.model_id
    if model_id.startswith("/"):
        return _with_model(Path(model_id)) or _missing(
            f"MODEL_ID names the folder {model_id}, which holds no model; this container serves {SERVED}"
        )
    mounted = _with_model(sagemaker_folder)
    if mounted:
        return mounted
    baked = _with_model(Path(settings.model_cache_dir) / model_id.replace("/", "__"))
    if baked:
        return baked
    if model_id == "demo":
        return _with_model(demo_folder) or _missing("the demo model is not in this image; build it with MODEL_ID=demo")
    return _from_hub(settings)


def _with_model(folder: Path) -> Path | None:
    """Return the folder with the model in it: this one, or the only one below it, as tar makes it of a folder."""
    if family_in(folder):
        return folder
    inside = [path for path in folder.glob("*/") if family_in(path)]
    return inside[0] if len(inside) == 1 else None


def _missing(message: str) -> Path:
    raise ModelUnavailable(message)


def _from_hub(settings: Settings) -> Path:
    # Imported here: it takes half a second, and most images carry their model.
    import huggingface_hub  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError  # noqa: PLC0415

    log.info("model download begins", extra={"model": settings.model_id})
    try:
        folder = huggingface_hub.snapshot_download(
            settings.model_id,
            cache_dir=Path(settings.hf_home) / "hub",
            allow_patterns=FILES,
            ignore_patterns=unwanted(settings.compute_type),
        )
    except HFValidationError as error:
        raise ModelUnavailable(
            f"MODEL_ID={settings.model_id!r} is neither demo, an absolute path nor a Hugging Face id such as "
            "Systran/faster-whisper-large-v3"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelUnavailable(
            f"the model {settings.model_id!r} is neither in the image nor under /opt/ml/model, and could not be "
            "downloaded; bake it into the image with --build-arg MODEL_ID, give it to CreateModel as ModelDataUrl, or "
            f"let the container reach the hub ({type(error).__name__})"
        ) from error
    log.info("model download ended", extra={"model": settings.model_id})
    return _with_model(Path(folder)) or _missing(
        f"{settings.model_id!r} on the hub holds no model that is known here, or not with COMPUTE_TYPE="
        f"{settings.compute_type}; this container serves {SERVED}"
    )
