"""NVIDIA's Parakeet TDT: encoded window by window on a CPU, decoded in batches everywhere.

onnx-asr, which made the files that are loaded here, decodes one window after the other, a call of the network for each
token. Here the windows of a batch take each step together (`tdt.decode`), and the tokens are the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from transcriber.audio.waveform import RATE_HZ
from transcriber.engines import pieces, tdt
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.engines.mel import Mel
from transcriber.engines.nemo_features import HOP_SAMPLES, NemoFeatures
from transcriber.engines.parakeet_network import ParakeetNetwork
from transcriber.engines.pieces import Vocabulary
from transcriber.engines.pool import Pool, warmed_up
from transcriber.engines.tdt import Token
from transcriber.options import DecodingOptions, Task
from transcriber.transcript import Hypothesis

LONGEST_WINDOW_S = 30.0
"""The model itself takes minutes, but its attention costs the square of a window's length, one batch is as slow as its
longest window, and what is said in a batch waits for all of it. 30 s is the longest that onnx-asr advises, holds whole
sentences, and is what every other part of this container is measured with."""

# Source: the card of nvidia/parakeet-tdt-0.6b-v3.
# fmt: off
EUROPEAN = frozenset({
    "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it",
    "lt", "lv", "mt", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "uk",
})
# fmt: on

WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParakeetWork:
    """One window.

    Attributes:
        features: Shape (mels, frames).
        length_s: Of its sound.
        is_cut: Whether it is as long as a window may be, so that its last word may have been cut in two.
        language: As the caller named it.
        with_words: Whether the caller wants words.
    """

    features: Mel
    length_s: float
    is_cut: bool
    language: str | None
    with_words: bool


class ParakeetEngine:
    """Parakeet TDT v2 (English) and v3 (25 European languages), in the files of onnx-asr."""

    def __init__(
        self,
        networks: Sequence[ParakeetNetwork],
        vocabulary: Vocabulary,
        *,
        mels: int,
        subsampling: int,
        most_tokens_per_frame: int,
        largest_batch: int,
        replicas: int,
        must_fit: bool,
    ) -> None:
        """Store the loaded networks; `parakeet_model.load` makes them.

        Args:
            networks: One for each device.
            vocabulary: What their tokens mean.
            mels: Rows of the features.
            subsampling: Frames of features that the encoder makes one of.
            most_tokens_per_frame: See `tdt.decode`.
            largest_batch: Windows in one call.
            replicas: Calls at the same time, on all devices together.
            must_fit: Whether the warm-up has to find out how many windows the device holds.
        """
        self._networks = Pool(networks[number % len(networks)] for number in range(replicas))
        self._vocabulary = vocabulary
        self._features = NemoFeatures(mels)
        self._frame_s = subsampling * HOP_SAMPLES / RATE_HZ
        self._most_tokens_per_frame = most_tokens_per_frame
        self._must_fit = must_fit
        self.capabilities = Capabilities(
            name="Parakeet",
            longest_window_s=LONGEST_WINDOW_S,
            largest_batch=largest_batch,
            replicas=replicas,
            word_timestamps=True,
            languages=frozenset({"en"}) if vocabulary.is_english else EUROPEAN,
            detects_language=True,
            tasks=frozenset({Task.TRANSCRIBE}),
            waits_for_language=False,
            heeds=frozenset(),
        )

    def prepare(self, window: Window) -> ParakeetWork:
        """Compute the window's features."""
        samples = window.samples[window.start_sample :]
        if not np.isfinite(samples).all():
            samples = np.zeros_like(samples)  # a text of nothing but its first piece, ten times in each frame
        return ParakeetWork(
            features=self._features(samples),
            length_s=len(samples) / RATE_HZ,
            is_cut=len(samples) >= round(LONGEST_WINDOW_S * RATE_HZ),
            language="en" if self._vocabulary.is_english else window.language,
            with_words=window.decoding.word_timestamps,
        )

    def batch_key(self, work: ParakeetWork) -> Hashable:  # noqa: ARG002 - all works are alike
        """Any windows may share a batch."""
        return ()

    def transcribe(self, batch: Sequence[ParakeetWork]) -> list[Hypothesis | Retry[ParakeetWork]]:
        """Encode, decode together, and put words, times and sentences together."""
        with self._networks.lent() as network:
            encoded, lengths = network.encode([work.features for work in batch])
            rows = range(len(batch))
            groups = [[row] for row in rows] if network.decodes_alone else [list(rows)]
            texts = [
                text
                for group in groups
                for text in tdt.decode(
                    network,
                    encoded[group],
                    lengths[group],
                    pieces=len(self._vocabulary.pieces),
                    blank=self._vocabulary.blank,
                    most_tokens_per_frame=self._most_tokens_per_frame,
                )
            ]
        return [self._hypothesis(work, tokens) for work, tokens in zip(batch, texts, strict=True)]

    def warm_up(self) -> None:
        """Run batches of one and of two; on CUDA the largest too, on every device, halved until it fits."""
        self.capabilities = warmed_up(
            self.capabilities,
            briefly=lambda windows: self._run(windows, WARM_UP_S),
            fully=lambda windows: self._run(windows, LONGEST_WINDOW_S),
            must_fit=self._must_fit,
        )

    def _run(self, windows: int, length_s: float) -> None:
        noise = np.random.default_rng(0).standard_normal(round(length_s * RATE_HZ)).astype(np.float32) * np.float32(0.1)
        window = Window(samples=noise, start_sample=0, language=None, decoding=DecodingOptions())
        self.transcribe([self.prepare(window)] * windows)

    def close(self) -> None:
        """Let go of the networks."""
        self._networks.let_go()

    def _hypothesis(self, work: ParakeetWork, tokens: Sequence[Token]) -> Hypothesis:
        words = pieces.words_of(tokens, self._vocabulary, frame_s=self._frame_s, length_s=work.length_s)
        consumed_s = work.length_s
        if work.is_cut:
            count, consumed_s = pieces.settled(words, length_s=work.length_s)
            words = list(islice(words, count))
        language = work.language if words else None
        return Hypothesis(
            segments=pieces.segments_of(words, with_words=work.with_words),
            language=language,
            language_probability=1.0 if language else 0.0,
            consumed_s=consumed_s,
            has_speech=bool(words),
        )
