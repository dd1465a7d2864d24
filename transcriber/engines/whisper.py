"""Whisper on CTranslate2, driven below faster-whisper's pipelines.

faster-whisper's `transcribe` works on one recording at a time and its batched pipeline on the windows of one call
only, with state on the shared object, one temperature and no thresholds. Here each window is a work of its own: windows
of all requests share batches, and one whose text is doubtful comes back as `Retry` and joins a later batch at the next
temperature. What faster-whisper does well is used as it is: tokenizer, splitting at timestamps, word alignment.

CTranslate2 does not check what it is given: an empty list of prompts or a token id out of range ends the process, and a
batch that is too large overflows an index of its CUDA kernels (`shares.largest_by_index`). `prepare` and
`_generate` check.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from transcriber.audio.waveform import RATE_HZ
from transcriber.engines import ladder, segments
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.engines.copies import Copies, Wide
from transcriber.engines.encodings import Encodings, encode
from transcriber.engines.gpu_memory import PeakMemory
from transcriber.engines.ladder import Attempt
from transcriber.engines.language import LanguageDetector
from transcriber.engines.mel import FRAMES_PER_SECOND, HOP_SAMPLES, WINDOW_FRAMES, MelSpectrogram, cut
from transcriber.engines.prompts import Prompts
from transcriber.engines.whisper_work import Encoded, WhisperWork
from transcriber.errors import DeviceFault, ModelUnavailable
from transcriber.options import DecodingOptions, Task
from transcriber.transcript import Hypothesis

log = logging.getLogger(__name__)

MODEL_TOKENS = 448

MOST_NEW_TOKENS = MODEL_TOKENS // 2
"""CTranslate2 stops there whatever it is told."""

TOKENS_PER_SECOND = 40
"""More than any speech has. English has 3 to 5; scripts for which the vocabulary has hardly more than bytes come to
30 with a fast speaker. A window that repeats itself writes until it is stopped, and its batch waits for it."""

TOKENS_ASIDE = 32
"""For timestamps, and for the second in which the rate is no measure."""

MAX_INITIAL_TIMESTAMP = 50
"""The first segment of a window begins within 1 s, in steps of 20 ms (faster-whisper's default)."""

SAMPLED_HYPOTHESES = 5
"""Texts drawn above temperature 0, of which the most probable is kept (faster-whisper's `best_of`)."""


class WhisperEngine:
    """Any Whisper in CTranslate2's format: large-v3, turbo, distil, the demo model."""

    def __init__(
        self,
        model: WhisperModel,
        *,
        vocabulary_size: int,
        largest_batch: int,
        replicas: int,
        suppressed: Sequence[int],
        memory: PeakMemory | None = None,
        detector: LanguageDetector | None = None,
        wide: Wide | None = None,
    ) -> None:
        """Store the loaded model; `whisper_model.load` makes one.

        Args:
            model: Held for what stands around the CTranslate2 model: tokenizer, filters, alignment.
            vocabulary_size: Token ids at or above this would end the process.
            largest_batch: Windows in one call.
            replicas: Calls that the model works on at the same time.
            suppressed: Tokens that each call forbids; others may be forbidden by the model itself.
            memory: Measures what the largest batch takes of a CUDA device; None for no measurement.
            detector: Tells languages on the host, from what has been encoded there; None where CTranslate2 does.
            wide: The same model for a batch that has the cores to itself; None where `model` takes them all anyway.
        """
        self._whisper = model
        self._copies = Copies(model, wide)
        self._model: ctranslate2.models.Whisper = model.model
        self._on_cpu = self._model.device == "cpu"
        self._vocabulary_size = vocabulary_size
        self._suppressed = list(suppressed)
        self._memory = memory
        self._detector = detector
        self._spectrogram = MelSpectrogram(model.feature_extractor.mel_filters)
        self._multilingual = bool(self._model.is_multilingual)
        self._prompts = Prompts(
            model.hf_tokenizer, multilingual=self._multilingual, vocabulary_size=self._vocabulary_size
        )
        self.capabilities = Capabilities(
            name="Whisper",
            longest_window_s=WINDOW_FRAMES / FRAMES_PER_SECOND,
            largest_batch=largest_batch,
            replicas=replicas,
            word_timestamps=True,
            languages=self._prompts.languages(),
            detects_language=True,
            tasks=frozenset(Task) if self._multilingual else frozenset({Task.TRANSCRIBE}),
        )

    def prepare(self, window: Window) -> WhisperWork:
        """Compute the window's features and the text before it.

        A passage that fits one window is given whole each time it is read on, so that its features are those of the
        whole, as in faster-whisper.
        """
        mel, n_frames = cut(self._spectrogram(window.samples), window.start_sample // HOP_SAMPLES)
        return WhisperWork(
            mel=mel,
            n_frames=max(1, n_frames),
            decoding=window.decoding,
            before=self._prompts.text_before(window),
            others=window.others,
            language=window.language if self._multilingual else "en",
        )

    def batch_key(self, work: WhisperWork) -> Hashable:
        """Windows share a batch when CTranslate2 takes them in one call: the same search, and as much text before.

        Languages, tasks and words may mix.
        """
        sampled = work.temperature > 0
        return (work.temperature, 0 if sampled else work.decoding.beam_size, len(work.before))

    def transcribe(self, batch: Sequence[WhisperWork]) -> list[Hypothesis | Retry[WhisperWork]]:
        """Encode what is not encoded yet, tell the languages not known yet, decode all, align the words asked for."""
        try:
            with self._copies.at_work():
                others = max((work.others for work in batch), default=0)
                encoded = encode(self._copies.encoder(others=others), batch)
                batch = self._with_languages(batch, encoded)
                decoder = self._copies.decoder(others=others)
                attempts = self._generate(decoder.model, batch, encoded)
                return [
                    self._judge(decoder, work, attempt, row)
                    for work, attempt, row in zip(batch, attempts, encoded.rows, strict=True)
                ]
        except (RuntimeError, MemoryError) as error:
            raise _device_fault(error) from error

    def warm_up(self) -> None:
        """Run detection, beam search, sampling, translation, words and text before, alone and two at a time.

        A wide copy then reads one window, which starts its threads and takes its buffers. On CUDA every worker of
        CTranslate2 has its own libraries to load and buffers to take, so each is given its batch at the same time as
        the others; then all run the largest batch, which is halved until it fits.
        """
        if self._on_cpu:
            with self._copies.crowded():
                self._run_every_path()
            if self._copies.has_wide:
                self.transcribe([self._noise(None, DecodingOptions())])
            return
        with ThreadPoolExecutor(self.capabilities.replicas, thread_name_prefix="model-warm-up") as workers:
            for done in [workers.submit(self._run_every_path) for _ in range(self.capabilities.replicas)]:
                done.result()
            while not self._fits(workers, self.capabilities.largest_batch):
                self.capabilities = replace(self.capabilities, largest_batch=self.capabilities.largest_batch // 2)

    def _run_every_path(self) -> None:
        hot = DecodingOptions(temperatures=(1.0,), initial_prompt="warm up")
        plans: list[tuple[str | None, DecodingOptions]] = [
            (None, DecodingOptions(word_timestamps=True)),
            (None, DecodingOptions()),
            ("en", hot),
        ]
        if Task.TRANSLATE in self.capabilities.tasks:
            plans.append(("en", DecodingOptions(task=Task.TRANSLATE, beam_size=1)))
        for language, decoding in plans:
            work = self._noise(language, decoding)
            self.transcribe([work])
            self.transcribe([work] * min(2, self.capabilities.largest_batch))

    def _noise(self, language: str | None, decoding: DecodingOptions) -> WhisperWork:
        noise = (np.random.default_rng(0).standard_normal(RATE_HZ) * 0.1).astype(np.float32)
        return self.prepare(Window(samples=noise, start_sample=0, language=language, decoding=decoding, is_first=True))

    def _fits(self, workers: ThreadPoolExecutor, windows: int) -> bool:
        """Tell whether the device holds a batch of so many windows in each replica, and log what they take."""
        batch = [self._noise("en", DecodingOptions())] * windows
        replicas = self.capabilities.replicas
        if self._memory is not None:
            self._memory.begin()
        try:
            for done in [workers.submit(self.transcribe, batch) for _ in range(replicas)]:
                done.result()
        except DeviceFault as fault:
            if not fault.out_of_memory or windows == 1:
                raise
            log.warning("largest batch does not fit", extra={"windows": windows, "replicas": replicas})
            return False
        if self._memory is not None:
            log.info(
                "largest batch fits",
                extra={"windows": windows, "replicas": replicas, "peak_bytes": self._memory.bytes_since()},
            )
        return True

    def close(self) -> None:
        """Unload the model from the device."""
        self._copies.unload()

    # -- the device

    def _with_languages(self, batch: Sequence[WhisperWork], encoded: Encodings) -> list[WhisperWork]:
        unknown = [i for i, work in enumerate(batch) if work.language is None]
        told = self._languages_of(unknown, encoded) if unknown else {}
        return [
            replace(work, language=told[i][0], language_probability=told[i][1]) if work.language is None else work
            for i, work in enumerate(batch)
        ]

    def _languages_of(self, unknown: Sequence[int], encoded: Encodings) -> dict[int, tuple[str, float]]:
        """Return code and probability for each of these windows, and maybe for others."""
        if self._detector is not None:
            return {i: self._detector(row) for i in unknown if (row := encoded.rows[i]) is not None}
        rows, positions = encoded.selection(unknown)
        guesses = [each[0] for each in self._model.detect_language(rows)]
        return {
            i: (token[2:-2], float(probability)) for i, (token, probability) in zip(positions, guesses, strict=True)
        }

    def _generate(
        self, model: ctranslate2.models.Whisper, batch: Sequence[WhisperWork], encoded: Encodings
    ) -> list[Attempt]:
        prompts = [self._prompts.prompt(work) for work in batch]
        if not prompts or any(not 0 <= token < self._vocabulary_size for prompt in prompts for token in prompt):
            raise ModelUnavailable("the model's tokenizer and vocabulary do not belong together; convert it again")
        temperature = batch[0].temperature
        search: dict[str, Any] = (
            {"beam_size": 1, "num_hypotheses": SAMPLED_HYPOTHESES, "sampling_topk": 0}
            if temperature > 0
            else {"beam_size": batch[0].decoding.beam_size, "patience": 1}
        )
        results = model.generate(
            encoded.whole(),
            prompts,
            length_penalty=1,
            max_length=_max_length(batch, prompt_tokens=len(prompts[0])),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
            sampling_temperature=temperature or 1,
            **search,
        )
        return [self._attempt(work, result) for work, result in zip(batch, results, strict=True)]

    def _attempt(self, work: WhisperWork, result: ctranslate2.models.WhisperGenerationResult) -> Attempt:
        tokens = tuple(result.sequences_ids[0])
        # The score is the mean over the tokens; the threshold is meant for the mean with the end of text counted in.
        return Attempt(
            tokens=tokens,
            text=self._prompts.tokenizer(work.language or "en", work.decoding.task).decode(list(tokens)).strip(),
            temperature=work.temperature,
            avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
        )

    # -- from tokens to a hypothesis

    def _judge(
        self, model: WhisperModel, work: WhisperWork, attempt: Attempt, row: Encoded | None
    ) -> Hypothesis | Retry[WhisperWork]:
        options = work.decoding
        attempts = (*work.attempts, attempt)
        if ladder.is_doubtful(attempt, options):
            if len(attempts) < len(options.temperatures):
                return Retry(work=replace(work, attempts=attempts, encoded=row if self._on_cpu else None))
            attempt = ladder.best(attempts, options)
        if ladder.is_silence(attempt, options):
            return segments.silence(work)
        return segments.hypothesis(
            model,
            self._prompts.tokenizer(work.language or "en", options.task),
            work,
            attempt,
            last_temperature=attempts[-1].temperature,
            row=row,
        )


def _max_length(batch: Sequence[WhisperWork], *, prompt_tokens: int) -> int:
    """Return what CTranslate2 calls `max_length`, for the longest window of the batch.

    Half of it, or what the prompt leaves of it if that is less, is how many tokens may be written.
    """
    longest_s = max(work.n_frames for work in batch) / FRAMES_PER_SECOND
    new = min(MOST_NEW_TOKENS, math.ceil(TOKENS_ASIDE + TOKENS_PER_SECOND * longest_s))
    return min(MODEL_TOKENS, max(2 * new, prompt_tokens + new))


def _device_fault(error: RuntimeError | MemoryError) -> DeviceFault:
    """Name the failure of a device; CUDA's own errors stick to the process, a lack of memory does not.

    What the library says stays in the log: it may name files.
    """
    said = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in said or "alloc" in said:
        return DeviceFault("the device has not enough memory for this batch", out_of_memory=True)
    if "cuda" in said or "cublas" in said:
        return DeviceFault("the device does not work any more; the container must be replaced", fatal=True)
    return DeviceFault("the device failed on this audio")
