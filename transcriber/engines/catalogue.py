"""The engines there are; one is imported only when it is chosen, so that the others' libraries need not be there."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from transcriber.engines import weights
from transcriber.engines.base import Engine
from transcriber.engines.families import family_of
from transcriber.errors import ModelUnavailable
from transcriber.observability.timeline import Timeline
from transcriber.settings import Settings

log = logging.getLogger(__name__)


def load(settings: Settings, *, timeline: Timeline) -> Engine[Any]:  # each engine has a type of work of its own
    """Find the model that the settings name, tell its family by its files, and load it onto the device.

    Raises:
        ModelUnavailable: It is nowhere to be found, of no family that is known, its libraries are not in this image, or
            it cannot be loaded.
    """
    folder = weights.find(settings)
    timeline.mark("model_found")
    family = family_of(folder)
    # What /opt/ml/model brings goes before MODEL_ID, whose name alone would tell the wrong story.
    log.info("model found", extra={"model": settings.model_id, "family": family.name, "folder": str(folder)})
    try:
        module = import_module(family.engine)
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"the model {settings.model_id!r} is a {family.name}, whose libraries are not in this image ({error.name} "
            f"is missing); build one with scripts/build_image.sh --family {family.image}"
        ) from error
    engine: Engine[Any] = module.load(folder, settings)
    timeline.mark("loaded")
    return engine
