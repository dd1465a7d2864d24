"""What stands before the transcript: the text before it, the language and the task, as tokens."""

from __future__ import annotations

import functools

import tokenizers
from faster_whisper.tokenizer import Tokenizer

from transcriber.engines.base import Window
from transcriber.engines.whisper_work import WhisperWork
from transcriber.languages import NAMES
from transcriber.options import Task

CONTEXT_TOKENS = 223
"""Tokens that may stand before the transcript: half the model's 448, less `<|startofprev|>` (faster-whisper)."""


class Prompts:
    """Writes prompts for one model."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, *, multilingual: bool, vocabulary_size: int) -> None:
        """Store the model's tokenizer; text before is cleared of ids at or above `vocabulary_size`."""
        self._tokenizer = tokenizer
        self._multilingual = multilingual
        self._vocabulary_size = vocabulary_size
        self.tokenizer = functools.cache(self._make_tokenizer)

    def text_before(self, window: Window) -> tuple[int, ...]:
        """Return the words to be nudged towards and the last of the text before, at most `CONTEXT_TOKENS`."""
        hotwords = window.decoding.hotwords
        hot = self._words(hotwords)[:CONTEXT_TOKENS] if hotwords else []
        context = window.context
        if window.is_first and window.decoding.initial_prompt:
            context = tuple(self._words(window.decoding.initial_prompt))
        room = CONTEXT_TOKENS - len(hot)
        previous = context[-room:] if room else ()
        return tuple(token for token in (*hot, *previous) if self._is_known(token))

    def prompt(self, work: WhisperWork) -> list[int]:
        """Return everything that stands before the transcript."""
        tokenizer = self.tokenizer(work.language or "en", work.decoding.task)
        before = [tokenizer.sot_prev, *work.before] if work.before else []
        return [*before, *tokenizer.sot_sequence]

    def languages(self) -> frozenset[str]:
        """Return the codes of the languages that the model has a token for."""
        if not self._multilingual:
            return frozenset({"en"})
        ids = {code: self._tokenizer.token_to_id(f"<|{code}|>") for code in NAMES}
        return frozenset(code for code, token in ids.items() if token is not None and self._is_known(token))

    def _words(self, text: str) -> list[int]:
        """Encode a caller's text as words and nothing else.

        `<|startoftranscript|>` and its like, written out, would become the model's own marks. A second start among the
        prompts is more than CTranslate2 expects.
        """
        tokenizer = self.tokenizer("en", Task.TRANSCRIBE)
        return [token for token in tokenizer.encode(" " + text.strip()) if token < tokenizer.eot]

    def _is_known(self, token: int) -> bool:
        return 0 <= token < self._vocabulary_size

    def _make_tokenizer(self, language: str, task: Task) -> Tokenizer:
        return Tokenizer(self._tokenizer, self._multilingual, task=str(task), language=language)
