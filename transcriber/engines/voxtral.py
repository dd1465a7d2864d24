"""Mistral's Voxtral Mini: a language model that hears, asked for nothing but the transcript.

Each window is a prompt of its own, and those of a batch are written together, token by token. The model tells no times,
no language and no probability of silence: what that means for callers is in `voxtral_rules`, as data and small rules.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from transcriber.audio.waveform import RATE_HZ, Samples
from transcriber.engines import voxtral_rules
from transcriber.engines.base import Retry, Window
from transcriber.engines.pool import Pool, warmed_up
from transcriber.engines.voxtral_rules import Prompt
from transcriber.options import DecodingOptions
from transcriber.transcript import Hypothesis

WARM_UP_S = 1.0


class Prompts(Protocol):
    """Makes prompts and reads answers, on any thread: `voxtral_network.VoxtralPrompts`."""

    def prompt(self, samples: Samples, language: str | None) -> Prompt: ...  # noqa: D102

    def text(self, tokens: Sequence[int]) -> str: ...  # noqa: D102


class Network(Protocol):
    """Writes, on one thread at a time: `voxtral_network.VoxtralNetwork`."""

    def write(  # noqa: D102
        self, prompts: Sequence[Prompt], *, most_tokens: Sequence[int], temperature: float
    ) -> list[tuple[int, ...]]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VoxtralWork:
    """One window.

    Attributes:
        prompt: None where there is nothing to be heard.
        length_s: How much of the window is read.
        language: As the caller named it.
        temperature: 0 for the likeliest text.
    """

    prompt: Prompt | None
    length_s: float
    language: str | None
    temperature: float


class VoxtralEngine:
    """Voxtral Mini in transformers' files."""

    def __init__(self, prompts: Prompts, networks: Sequence[Network], *, largest_batch: int, must_fit: bool) -> None:
        """Store the loaded model; `voxtral_model.load` makes one.

        Args:
            prompts: Shared by all devices.
            networks: One for each device.
            largest_batch: Windows in one call.
            must_fit: Whether the warm-up has to find out how many windows the device holds.
        """
        self._prompts = prompts
        self._networks = Pool(networks)
        self._must_fit = must_fit
        self.capabilities = voxtral_rules.capabilities(largest_batch=largest_batch, replicas=len(networks))

    def prepare(self, window: Window) -> VoxtralWork:
        """Compute the window's features and its prompt.

        Of the temperatures only the first counts: the model says nothing by which a text could be doubted.
        """
        samples = window.samples[window.start_sample :]
        is_silence = voxtral_rules.is_silence(samples)
        if not is_silence:
            samples = voxtral_rules.readable(samples)
        return VoxtralWork(
            prompt=None if is_silence else self._prompts.prompt(samples, window.language),
            length_s=len(samples) / RATE_HZ,
            language=window.language,
            temperature=window.decoding.temperatures[0],
        )

    def batch_key(self, work: VoxtralWork) -> Hashable:
        """Windows of one temperature share a batch, in whatever language."""
        return work.temperature

    def transcribe(self, batch: Sequence[VoxtralWork]) -> list[Hypothesis | Retry[VoxtralWork]]:
        """Write all texts together, and place each in its window."""
        heard = [(work, work.prompt) for work in batch if work.prompt is not None]
        written: list[tuple[int, ...]] = []
        if heard:
            with self._networks.lent() as network:
                written = network.write(
                    [prompt for _work, prompt in heard],
                    most_tokens=[voxtral_rules.most_tokens(work.length_s) for work, _prompt in heard],
                    temperature=batch[0].temperature,
                )
        following = iter(written)
        return [self._hypothesis(work, () if work.prompt is None else next(following)) for work in batch]

    def warm_up(self) -> None:
        """Run batches of one and of two; on CUDA the largest too, on every device, halved until it fits."""
        self.capabilities = warmed_up(
            self.capabilities,
            briefly=self._run,
            fully=self._run,
            must_fit=self._must_fit,
        )

    def _run(self, windows: int) -> None:
        """Work on noise. However short it is, the encoder works on 30 s; its text may be short."""
        noise = np.random.default_rng(0).standard_normal(round(WARM_UP_S * RATE_HZ)).astype(np.float32)
        window = Window(samples=noise * np.float32(0.1), start_sample=0, language="en", decoding=DecodingOptions())
        self.transcribe([self.prepare(window)] * windows)

    def close(self) -> None:
        """Let go of the networks."""
        self._networks.let_go()

    def _hypothesis(self, work: VoxtralWork, tokens: tuple[int, ...]) -> Hypothesis:
        return voxtral_rules.hypothesis(
            self._prompts.text(tokens),
            tokens=tokens,
            length_s=work.length_s,
            language=work.language,
            temperature=work.temperature,
        )
