"""A vocabulary of Whisper's size: special tokens, bytes and symbols at their true ids, made-up words elsewhere.

The true ids matter where libraries look at them: special tokens, bytes, and the symbols that faster-whisper suppresses.
What the others spell does not, so OpenAI's whole vocabulary need not be here; they spell words of four letters, all
different, that nobody would take for a transcript.
"""

from __future__ import annotations

import json
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo_model.tokenizer import CUT_VOCABULARY, TIMESTAMPS, WHISPER_LANGUAGES, build_tokenizer, read_ranks

if TYPE_CHECKING:
    from random import Random

    from tokenizers import Tokenizer

EMPTY = 50_256
"""The empty text: CTranslate2 calls a model multilingual when its vocabulary holds it."""

TEXT_TOKENS = 50_257
WORD_LETTERS = 4
TIMESTAMP_STEP_S = 0.02

SUPPRESSED_TEXT = (
    *(1, 2, 7, 8, 9, 10, 14, 25, 26, 27, 28, 29, 31, 58, 59, 60, 61, 62, 63, 90, 91, 92, 93, 359, 503, 522, 542, 873),
    *(893, 902, 918, 922, 931, 1350, 1853, 1982, 2460, 2627, 3246, 3253, 3268, 3536, 3846, 3961, 4183, 4667, 6585),
    *(6647, 7273, 9061, 9383, 10428, 10929, 11938, 12033, 12331, 12562, 13793, 14157, 14635, 15265, 15618, 16553),
    *(16604, 18362, 18956, 20075, 21675, 22520, 26130, 26161, 26435, 28279, 29464, 31650, 32302, 32470, 36865, 42863),
    *(47425, 49870, 50254),
)
"""Symbols that no transcript should hold. Source: `suppress_tokens` in OpenAI's `generation_config.json`."""

BLANK = 220
"""A space by itself: no transcript begins with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Every token of a model, and where the special ones are.

    Attributes:
        tokenizer: What `tokenizer.json` holds.
        words: Ids of the made-up words, in random order.
    """

    tokenizer: Tokenizer
    words: tuple[int, ...]
    languages: tuple[str, ...]

    @property
    def end(self) -> int:
        """`<|endoftext|>`."""
        return TEXT_TOKENS

    @property
    def start(self) -> int:
        """`<|startoftranscript|>`."""
        return self.end + 1

    @property
    def language_ids(self) -> list[int]:
        """The languages, English first."""
        return list(range(self.start + 1, self.start + 1 + len(self.languages)))

    @property
    def tasks(self) -> tuple[int, int]:
        """`<|translate|>` and `<|transcribe|>`."""
        translate = self.language_ids[-1] + 1
        return translate, translate + 1

    @property
    def no_timestamps(self) -> int:
        """`<|notimestamps|>`: after the tasks come `<|startoflm|>`, `<|startofprev|>` and `<|nospeech|>`, then it."""
        return self.tasks[1] + 4

    @property
    def suppressed(self) -> list[int]:
        """What CTranslate2 never gives unless told otherwise: symbols, and special tokens of the prompt."""
        return [*SUPPRESSED_TEXT, self.start, *range(self.tasks[0], self.no_timestamps)]

    def timestamp(self, seconds: float) -> int:
        """Return the id of a time in a window."""
        return self.no_timestamps + 1 + round(seconds / TIMESTAMP_STEP_S)

    def tokens(self) -> list[str]:
        """List all tokens by id."""
        numbered = self.tokenizer.get_vocab(with_added_tokens=True)
        return sorted(numbered, key=numbered.__getitem__)


def make_vocabulary(*, has_cantonese: bool, draw: Random) -> Vocabulary:
    """Make the vocabulary of a model.

    Args:
        has_cantonese: Whether it is one of 51,866 tokens, whose hundredth language is Cantonese, or of 51,865.
        draw: Chooses the made-up words.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415  slow to import

    ranks = read_ranks(CUT_VOCABULARY)
    cut = json.loads(build_tokenizer(ranks).to_str())["model"]
    true_ids = sorted(ranks.values())
    numbered: dict[str, int] = {token: true_ids[place] for token, place in cut["vocab"].items()}
    free = sorted(set(range(TEXT_TOKENS)) - set(true_ids))
    # "Ġ" is how byte-level vocabularies write a space.
    words = {f"Ġ{word}": number for word, number in zip(_words(len(free), numbered, draw), free, strict=True)}
    merges = [tuple(pair) for pair in cut["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=numbered | words, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    languages = (*WHISPER_LANGUAGES, "yue") if has_cantonese else tuple(WHISPER_LANGUAGES)
    special = (
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{language}|>" for language in languages),
        *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
        *(f"<|{step * TIMESTAMP_STEP_S:.2f}|>" for step in range(TIMESTAMPS)),
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    draw.shuffle(free)
    return Vocabulary(tokenizer=tokenizer, words=tuple(free), languages=languages)


def _words(count: int, taken: dict[str, int], draw: Random) -> list[str]:
    """Make up words that differ from each other and from the tokens there are."""
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(draw.choices(string.ascii_lowercase, k=WORD_LETTERS))
        if f"Ġ{word}" not in taken:
            words[word] = None
    return list(words)
