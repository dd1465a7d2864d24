"""A small model's two copies on a CPU: one for batches side by side, one for a batch that has the cores to itself.

The first has a thread for each batch, which serves most when there is a batch for every core. A lone batch would leave
all other cores idle; it goes to the second, which has several threads for each. docs/decisions/0017 has the figures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import ctranslate2
from faster_whisper import WhisperModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """The copy with several threads for each batch.

    Attributes:
        model: The same weights.
        at_once: How many batches have cores enough for it at the same time.
        decodes: Whether it decodes, too; steps of a very small model take less time than its threads wait for each
            other.
    """

    model: WhisperModel
    at_once: int
    decodes: bool


class Copies:
    """Chooses the copy by how many batches are at work; threads share it."""

    def __init__(self, narrow: WhisperModel, wide: Wide | None = None) -> None:
        """Store the copies; without a wide one the other does everything."""
        self._narrow = narrow
        self._wide = wide
        self._at_work = 0
        self._lock = threading.Lock()

    @contextmanager
    def at_work(self, batches: int = 1) -> Iterator[None]:
        """Count batches in as long as they are worked on."""
        with self._lock:
            self._at_work += batches
        try:
            yield
        finally:
            with self._lock:
                self._at_work -= batches

    @property
    def has_wide(self) -> bool:
        """Whether there are two."""
        return self._wide is not None

    def crowded(self) -> AbstractContextManager[None]:
        """Count in as many as leave no room for the wide copy."""
        return self.at_work(self._wide.at_once if self._wide else 0)

    def encoder(self, *, others: int) -> ctranslate2.models.Whisper:
        """Return what encodes for a batch that has been counted in.

        Args:
            others: How many more were expected when its windows were prepared.
        """
        return self._model(self._wide, others=others).model

    def decoder(self, *, others: int) -> WhisperModel:
        """Return what decodes, and aligns words, for a batch that has been counted in."""
        return self._model(self._wide if self._wide and self._wide.decodes else None, others=others)

    def unload(self) -> None:
        """Take both from the device."""
        self._narrow.model.unload_model()
        if self._wide:
            self._wide.model.model.unload_model()

    def _model(self, wide: Wide | None, *, others: int) -> WhisperModel:
        return wide.model if wide and max(self._at_work, 1 + others) <= wide.at_once else self._narrow
