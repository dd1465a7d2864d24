"""The schedule of the training run: what it is given, at which rate, and for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .layout import Sound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .phrases import Language

TRANSLATED: dict[Language, float] = {"en": 0.2, "es": 0.36, "fr": 0.36, "de": 0.36, "zh": 0.6}
"""How many of a language's windows are translated: the more, the less its word order is like English."""

LAST_RATE = 0.02
"""Where the cosine ends, as a share of the phase's rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowMix:
    """Windows of one length.

    Attributes:
        length_s: Up to 30.
        windows: How many make a step, all workers together.
        share: Of the phase's steps.
        letters: Weight of the CTC helper; it costs a fifth of a step of 30 s windows and is left out there.
    """

    length_s: float
    windows: int
    share: float
    letters: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training.

    Attributes:
        name: For the log.
        steps: How many.
        mixes: The window lengths to draw from; their shares add up to 1.
        adam_rate: Learning rate of embeddings, biases, norms and convolutions.
        muon_rate: Learning rate of the hidden matrices.
        warm_steps: The rate rises over these.
        fall: The stretch of half a cosine that the rate falls along, all of it being (0, 1); (0, 0) if it stays.
        unprompted: How many steps have no earlier text to go on from for each three that have.
        attention: Weight of the guidance of the alignment heads.
        sound: How speech may sound.
        translated: How many of a language's windows are translated.
    """

    name: str
    steps: int
    mixes: tuple[WindowMix, ...]
    adam_rate: float = 2e-3
    muon_rate: float = 6e-3
    warm_steps: int = 1
    fall: tuple[float, float] = (0, 0)
    unprompted: int = 3
    attention: float = 0.3
    sound: Sound = field(default_factory=Sound)
    translated: Mapping[Language, float] = field(default_factory=lambda: TRANSLATED)

    def rate(self, step: int) -> float:
        """Give the learning rate at a step of this phase, as a share of its full rate."""
        warm = min(1.0, (step + 1) / self.warm_steps)
        fallen = self.fall[0] + (self.fall[1] - self.fall[0]) * step / self.steps
        return warm * max(LAST_RATE, 0.5 * (1 + math.cos(math.pi * fallen)))


LISTEN = (
    WindowMix(length_s=6, windows=32, share=0.75, letters=0.3),
    WindowMix(length_s=12, windows=16, share=0.17, letters=0.3),
    WindowMix(length_s=30, windows=8, share=0.08, letters=0),
)

EVERYTHING = (
    WindowMix(length_s=6, windows=32, share=0.5, letters=0.2),
    WindowMix(length_s=12, windows=16, share=0.27, letters=0.2),
    WindowMix(length_s=30, windows=8, share=0.23, letters=0),
)

SCHEDULE = (
    # Short windows first: attention finds its way in 4 s several times faster than in 30 s.
    Phase(
        name="align",
        steps=1100,
        mixes=(WindowMix(length_s=4, windows=48, share=1, letters=0.5),),
        warm_steps=60,
    ),
    Phase(
        name="spread",
        steps=400,
        mixes=(
            WindowMix(length_s=6, windows=32, share=0.4, letters=0.2),
            WindowMix(length_s=12, windows=16, share=0.35, letters=0.2),
            WindowMix(length_s=30, windows=8, share=0.25, letters=0),
        ),
        adam_rate=1.8e-3,
        muon_rate=5.5e-3,
        warm_steps=30,
    ),
    # Sounds are learned from speech heard, and 6 s windows hold twice as much of it for each second of work.
    Phase(
        name="listen",
        steps=350,
        mixes=LISTEN,
    ),
    # Long prompts take a quarter of the time and teach no sounds.
    Phase(
        name="listen without prompts",
        steps=650,
        mixes=LISTEN,
        unprompted=25,
    ),
    # All that a model is given, in better sound and ever smaller steps, from which most of the accuracy comes.
    Phase(
        name="settle",
        steps=1300,
        mixes=EVERYTHING,
        fall=(0, 0.4),
        unprompted=6,
        attention=0.15,
        sound=Sound(least_db=8),
    ),
    # And voices further from those in the bank: hardly voiced ones, and shorter throats.
    Phase(
        name="meet strangers",
        steps=1100,
        mixes=EVERYTHING,
        fall=(0.4, 0.7),
        unprompted=6,
        attention=0.15,
        sound=Sound(least_db=8, throats=(0.82, 1.08), breathy=0.15, repeats=0.1),
    ),
    # What is wrong by now is phrases lost in long and crowded windows, and the number of equal digits in a row.
    Phase(
        name="whole windows",
        steps=1000,
        mixes=(
            WindowMix(length_s=6, windows=32, share=0.2, letters=0.2),
            WindowMix(length_s=12, windows=16, share=0.25, letters=0.2),
            WindowMix(length_s=30, windows=8, share=0.55, letters=0),
        ),
        fall=(0.7, 1),
        unprompted=5,
        attention=0.2,
        sound=Sound(least_db=8, throats=(0.86, 1.08), breathy=0.1, repeats=0.25, crowded=0.45),
    ),
    # A window that ends inside a phrase is never without timestamps, so such windows, full and crowded, were rare;
    # they are what batches are made of. And Chinese is still the hardest to translate.
    Phase(
        name="windows of batches",
        steps=1300,
        mixes=(
            WindowMix(length_s=6, windows=32, share=0.2, letters=0.2),
            WindowMix(length_s=12, windows=16, share=0.15, letters=0.2),
            WindowMix(length_s=30, windows=8, share=0.65, letters=0),
        ),
        warm_steps=30,
        fall=(0.6, 1),
        unprompted=12,
        attention=0.2,
        sound=Sound(least_db=8, throats=(0.86, 1.08), breathy=0.1, repeats=0.2, crowded=0.6, cut=0.1),
        translated=TRANSLATED | {"en": 0.15, "zh": 0.75},
    ),
)
