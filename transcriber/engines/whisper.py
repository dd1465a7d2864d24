"""Whisper on CTranslate2, driven below faster-whisper's pipelines.

faster-whisper's `transcribe` works on one recording at a time and its batched pipeline on the windows of one call
only, with state on the shared object, one temperature and no thresholds. Here each window is a work of its own: windows
of all requests share batches, and one whose text is doubtful comes back as `Retry` and joins a later batch at the next
temperature. What faster-whisper does well is used as it is: tokenizer, splitting at timestamps, word alignment.

CTranslate2 does not check what it is given: an empty list of prompts or a token id out of range ends the process, and a
batch above 95 windows of the largest model overflows an index of its CUDA kernels. `prepare` and `_generate` check.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

from transcriber.audio.waveform import RATE_HZ
from transcriber.engines import ladder
from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.engines.ladder import Attempt
from transcriber.engines.mel import FRAMES_PER_SECOND, HOP_SAMPLES, WINDOW_FRAMES, Mel, MelSpectrogram, cut
from transcriber.errors import DeviceFault, ModelUnavailable
from transcriber.languages import NAMES
from transcriber.options import DecodingOptions, Task
from transcriber.transcript import Hypothesis, Segment, Word

LARGEST_BATCH = 95
"""Windows above which the softmax of CTranslate2's CUDA encoder overflows a 32-bit index (20 heads x 1500 x 1500)."""

CONTEXT_TOKENS = 223
"""Tokens that may stand before the transcript: half the model's 448, less `<|startofprev|>` (faster-whisper)."""

MODEL_TOKENS = 448
MAX_INITIAL_TIMESTAMP = 50
"""The first segment of a window begins within 1 s, in steps of 20 ms (faster-whisper's default)."""

SAMPLED_HYPOTHESES = 5
"""Texts drawn above temperature 0, of which the most probable is kept (faster-whisper's `best_of`)."""

PREPENDED_MARKS = "\"'“¿([{-"
APPENDED_MARKS = "\"'.。,，!！?？:：”)]}、"

Encoded = npt.NDArray[Any]  # shape (1, 1500, width), of the type that the device computes in


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WhisperWork:
    """One window on its way through the temperatures.

    Attributes:
        mel: Shape (mels, 3000).
        n_frames: How many of them are sound, at least 1.
        before: Token ids of the text that stands before the transcript.
        language: Code; None until the model has told.
        language_probability: 1.0 when the caller gave the language.
        attempts: What the lower temperatures made of it, all doubtful.
        encoded: The encoder's output, kept so that a retry does not encode again; None while there is none.
    """

    mel: Mel
    n_frames: int
    decoding: DecodingOptions
    before: tuple[int, ...]
    language: str | None
    language_probability: float = 1.0
    attempts: tuple[Attempt, ...] = ()
    encoded: Encoded | None = None

    @property
    def temperature(self) -> float:
        """The temperature whose turn it is."""
        return self.decoding.temperatures[len(self.attempts)]


class WhisperEngine:
    """Any Whisper in CTranslate2's format: large-v3, turbo, distil, the demo model."""

    def __init__(self, model: WhisperModel, *, vocabulary_size: int, largest_batch: int, replicas: int) -> None:
        """Store the loaded model; `whisper_model.load` makes one.

        Args:
            model: Held for what stands around the CTranslate2 model: tokenizer, filters, alignment.
            largest_batch: Windows in one call; cut to what CTranslate2 can take.
            replicas: Calls that the model works on at the same time.
            vocabulary_size: Token ids at or above this would end the process.
        """
        self._whisper = model
        self._model: ctranslate2.models.Whisper = model.model
        self._on_cpu = self._model.device == "cpu"
        self._vocabulary_size = vocabulary_size
        self._spectrogram = MelSpectrogram(model.feature_extractor.mel_filters)
        self._multilingual = bool(self._model.is_multilingual)
        self._tokenizer = functools.cache(self._make_tokenizer)
        plain = self._tokenizer("en", Task.TRANSCRIBE)
        self._suppressed = [token for token in get_suppressed_tokens(plain, [-1]) if 0 <= token < vocabulary_size]
        self.capabilities = Capabilities(
            name="Whisper",
            longest_window_s=WINDOW_FRAMES / FRAMES_PER_SECOND,
            largest_batch=min(largest_batch, LARGEST_BATCH),
            replicas=replicas,
            word_timestamps=True,
            languages=self._known_languages(),
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
            before=self._text_before(window),
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
            encoded = self._encode(batch)
            batch = self._with_languages(batch, encoded)
            attempts = self._generate(batch, encoded)
            return [
                self._judge(work, attempt, row)
                for work, attempt, row in zip(batch, attempts, encoded.rows, strict=True)
            ]
        except RuntimeError as error:
            raise _device_fault(error) from error

    def warm_up(self) -> None:
        """Run detection, beam search, sampling, translation, words and text before, alone and two at a time."""
        noise = (np.random.default_rng(0).standard_normal(RATE_HZ) * 0.1).astype(np.float32)
        hot = DecodingOptions(temperatures=(1.0,), initial_prompt="warm up")
        plans: list[tuple[str | None, DecodingOptions]] = [(None, DecodingOptions(word_timestamps=True)), ("en", hot)]
        if Task.TRANSLATE in self.capabilities.tasks:
            plans.append(("en", DecodingOptions(task=Task.TRANSLATE, beam_size=1)))
        for language, decoding in plans:
            window = Window(samples=noise, start_sample=0, language=language, decoding=decoding, is_first=True)
            work = self.prepare(window)
            self.transcribe([work])
            self.transcribe([work] * min(2, self.capabilities.largest_batch))

    def close(self) -> None:
        """Unload the model from the device."""
        self._model.unload_model()

    # -- the text before the transcript

    def _text_before(self, window: Window) -> tuple[int, ...]:
        tokenizer = self._tokenizer("en", Task.TRANSCRIBE)
        hotwords = window.decoding.hotwords
        hot = tokenizer.encode(" " + hotwords.strip())[:CONTEXT_TOKENS] if hotwords else []
        context = window.context
        if window.is_first and window.decoding.initial_prompt:
            context = tuple(tokenizer.encode(" " + window.decoding.initial_prompt.strip()))
        room = CONTEXT_TOKENS - len(hot)
        previous = context[-room:] if room else ()
        return tuple(token for token in (*hot, *previous) if 0 <= token < self._vocabulary_size)

    def _prompt(self, work: WhisperWork) -> list[int]:
        tokenizer = self._tokenizer(work.language or "en", work.decoding.task)
        before = [tokenizer.sot_prev, *work.before] if work.before else []
        return [*before, *tokenizer.sot_sequence]

    def _make_tokenizer(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._whisper.hf_tokenizer, self._multilingual, task=str(task), language=language)

    def _known_languages(self) -> frozenset[str]:
        if not self._multilingual:
            return frozenset({"en"})
        ids = {code: self._whisper.hf_tokenizer.token_to_id(f"<|{code}|>") for code in NAMES}
        return frozenset(code for code, token in ids.items() if token is not None and token < self._vocabulary_size)

    # -- the device

    def _encode(self, batch: Sequence[WhisperWork]) -> _EncodedBatch:
        # On a CPU the encoder gains nothing from a batch and loses half its speed to page faults; on CUDA rows are
        # fetched only when they must be regrouped for alignment.
        if self._on_cpu:
            return _EncodedBatch([self._encode_one(work) for work in batch])
        needs_rows = any(work.decoding.word_timestamps for work in batch)
        features = ctranslate2.StorageView.from_array(np.stack([work.mel for work in batch]))
        output = self._model.encode(features, to_cpu=needs_rows or len(self._model.device_index) > 1)
        if not needs_rows:
            return _EncodedBatch([None] * len(batch), piece=output)
        rows = _to_numpy(output)
        return _EncodedBatch([rows[i : i + 1] for i in range(len(batch))])

    def _encode_one(self, work: WhisperWork) -> Encoded:
        if work.encoded is not None:
            return work.encoded
        features = ctranslate2.StorageView.from_array(work.mel[np.newaxis])
        return _to_numpy(self._model.encode(features, to_cpu=True))

    def _with_languages(self, batch: Sequence[WhisperWork], encoded: _EncodedBatch) -> list[WhisperWork]:
        unknown = [i for i, work in enumerate(batch) if work.language is None]
        told: dict[int, tuple[str, float]] = {}
        if unknown:
            rows, positions = encoded.selection(unknown)
            for i, guesses in zip(positions, self._model.detect_language(rows), strict=True):
                token, probability = guesses[0]
                told[i] = (token[2:-2], float(probability))
        return [
            replace(work, language=told[i][0], language_probability=told[i][1]) if work.language is None else work
            for i, work in enumerate(batch)
        ]

    def _generate(self, batch: Sequence[WhisperWork], encoded: _EncodedBatch) -> list[Attempt]:
        prompts = [self._prompt(work) for work in batch]
        if not prompts or any(not 0 <= token < self._vocabulary_size for prompt in prompts for token in prompt):
            raise ModelUnavailable("the model's tokenizer and vocabulary do not belong together; convert it again")
        temperature = batch[0].temperature
        search: dict[str, Any] = (
            {"beam_size": 1, "num_hypotheses": SAMPLED_HYPOTHESES, "sampling_topk": 0}
            if temperature > 0
            else {"beam_size": batch[0].decoding.beam_size, "patience": 1}
        )
        results = self._model.generate(
            encoded.whole(),
            prompts,
            length_penalty=1,
            max_length=MODEL_TOKENS,
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
            text=self._tokenizer(work.language or "en", work.decoding.task).decode(list(tokens)).strip(),
            temperature=work.temperature,
            avg_logprob=result.scores[0] * len(tokens) / (len(tokens) + 1),
            no_speech_prob=result.no_speech_prob,
        )

    # -- from tokens to a hypothesis

    def _judge(self, work: WhisperWork, attempt: Attempt, row: Encoded | None) -> Hypothesis | Retry[WhisperWork]:
        options = work.decoding
        attempts = (*work.attempts, attempt)
        if ladder.is_doubtful(attempt, options):
            if len(attempts) < len(options.temperatures):
                return Retry(work=replace(work, attempts=attempts, encoded=row))
            attempt = ladder.best(attempts, options)
        if ladder.is_silence(attempt, options):
            return self._silence(work)
        return self._hypothesis(work, attempt, last_temperature=attempts[-1].temperature, row=row)

    def _silence(self, work: WhisperWork) -> Hypothesis:
        return Hypothesis(
            segments=(),
            language=None,
            language_probability=0.0,
            consumed_s=work.n_frames / FRAMES_PER_SECOND,
            has_speech=False,
            context=work.before,
        )

    def _hypothesis(
        self, work: WhisperWork, attempt: Attempt, *, last_temperature: float, row: Encoded | None
    ) -> Hypothesis:
        language = work.language or "en"
        tokenizer = self._tokenizer(language, work.decoding.task)
        # Private, but the reference for what a timestamp means; requirements.txt pins the version.
        parts, consumed_frames, is_closed = self._whisper._split_segments_by_timestamps(  # noqa: SLF001
            tokenizer=tokenizer,
            tokens=list(attempt.tokens),
            time_offset=0.0,
            segment_size=work.n_frames,
            segment_duration=work.n_frames / FRAMES_PER_SECOND,
            seek=0,
        )
        if work.decoding.word_timestamps and row is not None:
            self._add_words(parts, tokenizer, row, work.n_frames)
            last_end = parts[-1]["words"][-1]["end"] if parts and parts[-1].get("words") else None
            if not is_closed and last_end:
                consumed_frames = round(last_end * FRAMES_PER_SECOND)
        segments = tuple(segment for part in parts if (segment := self._segment(part, tokenizer, attempt)) is not None)
        said = tuple(token for segment in segments for token in segment.tokens)
        keeps_context = last_temperature <= ladder.PROMPT_RESET_TEMPERATURE
        return Hypothesis(
            segments=segments,
            language=language if segments else None,
            language_probability=work.language_probability if segments else 0.0,
            consumed_s=consumed_frames / FRAMES_PER_SECOND,
            has_speech=bool(segments),
            context=(*work.before, *said)[-CONTEXT_TOKENS:] if keeps_context else (),
        )

    def _add_words(self, parts: list[dict[str, Any]], tokenizer: Tokenizer, row: Encoded, n_frames: int) -> None:
        """Add `words` to each part in place; CTranslate2 cannot align a text without tokens."""
        if not any(token < tokenizer.eot for part in parts for token in part["tokens"]):
            return
        self._whisper.add_word_timestamps(
            [parts],
            tokenizer,
            ctranslate2.StorageView.from_array(np.ascontiguousarray(row)),
            n_frames,
            PREPENDED_MARKS,
            APPENDED_MARKS,
            last_speech_timestamp=0.0,
        )

    @staticmethod
    def _segment(part: dict[str, Any], tokenizer: Tokenizer, attempt: Attempt) -> Segment | None:
        text = tokenizer.decode(part["tokens"])
        if part["start"] == part["end"] or not text.strip():
            return None
        words = part.get("words")
        return Segment(
            start_s=float(part["start"]),
            end_s=float(part["end"]),
            text=text,
            words=None if words is None else tuple(_word(word) for word in words),
            tokens=tuple(part["tokens"]),
            temperature=attempt.temperature,
            avg_logprob=attempt.avg_logprob,
            compression_ratio=attempt.compression_ratio,
            no_speech_prob=attempt.no_speech_prob,
        )


class _EncodedBatch:
    """The encoder's output of a batch: rows on the CPU, or one piece that stays on the device."""

    def __init__(self, rows: Sequence[Encoded | None], *, piece: ctranslate2.StorageView | None = None) -> None:
        self.rows = list(rows)
        self._piece = piece

    def selection(self, wanted: Sequence[int]) -> tuple[ctranslate2.StorageView, Sequence[int]]:
        """Return rows for a call, and which window each of them is; all of them when they are in one piece."""
        if self._piece is not None:
            return self._piece, range(len(self.rows))
        rows = [row for i in wanted if (row := self.rows[i]) is not None]
        return ctranslate2.StorageView.from_array(np.concatenate(rows)), wanted

    def whole(self) -> ctranslate2.StorageView:
        """Return the rows of the whole batch."""
        return self.selection(range(len(self.rows)))[0]


def _to_numpy(view: ctranslate2.StorageView) -> Encoded:
    """Copy to numpy, which has no bfloat16: such rows travel as float32."""
    if view.dtype == ctranslate2.DataType.bfloat16:
        view = view.to(ctranslate2.DataType.float32)
    return np.array(view)


def _word(word: dict[str, Any]) -> Word:
    return Word(
        start_s=float(word["start"]),
        end_s=float(word["end"]),
        text=word["word"],
        probability=float(word["probability"]),
    )


def _device_fault(error: RuntimeError) -> DeviceFault:
    """Name the failure of a device; CUDA's own errors stick to the process, a lack of memory does not."""
    said = str(error).lower()
    if "out of memory" in said or "alloc" in said:
        return DeviceFault("the device has not enough memory for this batch")
    return DeviceFault(f"the device failed: {error}", fatal="cuda" in said or "cublas" in said)
