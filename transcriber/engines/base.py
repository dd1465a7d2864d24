"""What every engine promises, and the one check of its batches."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from transcriber.audio.waveform import Samples
from transcriber.errors import DeviceFault, UnsupportedOption
from transcriber.options import LADDER, DecodingOptions, Task
from transcriber.transcript import Hypothesis

Work = TypeVar("Work")
"""An engine's own preparation of a window: opaque to everybody else."""

_STANDARD = DecodingOptions()

PLAIN = MappingProxyType(
    {
        "beam_size": (_STANDARD.beam_size, 1),
        "temperature": (LADDER, (0.0,)),
        "initial_prompt": (None,),
        "hotwords": (None,),
        "condition_on_previous_text": (False,),
        "compression_ratio_threshold": (_STANDARD.compression_ratio_threshold, None),
        "log_prob_threshold": (_STANDARD.log_prob_threshold, None),
        "no_speech_threshold": (_STANDARD.no_speech_threshold, None),
    }
)
"""Options that an engine need not heed, under the names that callers know -> the values that ask nothing of it: what
holds when the caller says nothing, and what an engine without the option does anyhow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do, as data.

    Attributes:
        name: How the engine is called in messages to callers.
        longest_window_s: The longest window it takes, in seconds.
        largest_batch: The most windows it takes at once.
        replicas: How many batches it can work on at the same time.
        word_timestamps: Whether it can tell where words begin and end.
        languages: Codes it understands; empty for one that needs none.
        detects_language: Whether it need not be told the language.
        tasks: What it can make of speech.
        waits_for_language: Whether the windows of a recording wait until the first of them has told the language; not
            so where each window is understood by itself.
        heeds: The options of `PLAIN` that change what it does; others than plain values of the rest are refused.
    """

    name: str
    longest_window_s: float
    largest_batch: int
    replicas: int
    word_timestamps: bool
    languages: frozenset[str]
    detects_language: bool
    tasks: frozenset[Task]
    waits_for_language: bool = True
    heeds: frozenset[str] = frozenset(PLAIN)

    def refuse(self, decoding: DecodingOptions, language: str | None, *, with_context: bool = False) -> None:
        """Refuse what the engine cannot do.

        Args:
            decoding: What the caller chose about every window.
            language: As the caller named it.
            with_context: Whether each window shall be shown the text before it.

        Raises:
            UnsupportedOption: The message names the engine, the option and what is accepted.
        """
        if decoding.task not in self.tasks:
            able = " or ".join(sorted(self.tasks))
            raise UnsupportedOption(f"task {decoding.task} is not something {self.name} can do; it can {able}")
        if decoding.word_timestamps and not self.word_timestamps:
            raise UnsupportedOption(f"{self.name} gives no word timestamps; leave word_timestamps out")
        if language is not None and self.languages and language not in self.languages:
            able = ", ".join(sorted(self.languages))
            raise UnsupportedOption(f"{self.name} does not know the language {language!r}; it knows {able}")
        if language is None and not self.detects_language:
            raise UnsupportedOption(f"{self.name} cannot detect the language; name one in 'language'")
        chosen = {
            "temperature": decoding.temperatures,
            "condition_on_previous_text": with_context,
        }
        for option, plain in PLAIN.items():
            value = chosen[option] if option in chosen else getattr(decoding, option)
            if option not in self.heeds and value not in plain:
                raise UnsupportedOption(f"{option} is not something {self.name} can heed; leave it out")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A stretch of speech that fits the engine.

    Attributes:
        samples: Mono, 16 kHz; never longer than `Capabilities.longest_window_s` after `start_sample`.
        start_sample: Where to begin reading; what lies before it has been settled by an earlier window.
        language: Code, or None to detect it on this window.
        decoding: What the caller chose.
        context: The `Hypothesis.context` of the window before, when the caller wants text to depend on it.
        is_first: Whether it is the recording's first window, which the initial prompt stands before.
        others: How many more may want the device at the same time, as far as the reader knows: the request's own
            windows, and the other requests of the house.
    """

    samples: Samples
    start_sample: int
    language: str | None
    decoding: DecodingOptions
    context: tuple[int, ...] = ()
    is_first: bool = False
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(Generic[Work]):
    """The engine doubts its text and wants the window back at the next temperature, in whatever batch comes."""

    work: Work


class Engine(Protocol[Work]):
    """A model on a device.

    `prepare` runs on many threads at once; `transcribe` runs on `capabilities.replicas` threads at once.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do; fixed once it is loaded."""
        ...

    def prepare(self, window: Window) -> Work:
        """Turn a window into what the device takes: features, prompt; everything the device does not check itself.

        Raises:
            MalformedRequest: A prompt is too long for the model.
        """
        ...

    def batch_key(self, work: Work) -> Hashable:
        """Say which works may share a batch: those with equal keys."""
        ...

    def transcribe(self, batch: Sequence[Work]) -> list[Hypothesis | Retry[Work]]:
        """Work on one batch of equal keys: as many outcomes as works, in the same order.

        Raises:
            DeviceFault: The device failed; the batch may be tried in smaller pieces unless the fault is fatal.
        """
        ...

    def warm_up(self) -> None:
        """Run every path once, so that the first caller does not pay for lazy loading."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


def transcribe_batch(engine: Engine[Work], batch: Sequence[Work]) -> list[Hypothesis | Retry[Work]]:
    """Run one batch and hold the engine to its contract.

    Raises:
        DeviceFault: The engine failed, or gave back another number of outcomes than it was given works.
    """
    outcomes = engine.transcribe(batch)
    if len(outcomes) != len(batch):
        raise DeviceFault(
            f"{engine.capabilities.name} gave {len(outcomes)} outcomes for a batch of {len(batch)} windows"
        )
    return outcomes
