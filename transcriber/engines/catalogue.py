"""The engines there are; one is imported only when it is chosen, so that the others' libraries need not be there."""

from __future__ import annotations

from typing import Any

from transcriber.engines import weights
from transcriber.engines.base import Engine
from transcriber.observability.timeline import Timeline
from transcriber.settings import Settings


def load(settings: Settings, *, timeline: Timeline) -> Engine[Any]:  # each engine has a type of work of its own
    """Find the model that the settings name and load it onto the device.

    Raises:
        ModelUnavailable: It is nowhere to be found, or cannot be loaded.
    """
    folder = weights.find(settings)
    timeline.mark("model_found")
    from transcriber.engines import whisper_model  # noqa: PLC0415 - see above

    engine = whisper_model.load(folder, settings)
    timeline.mark("loaded")
    return engine
