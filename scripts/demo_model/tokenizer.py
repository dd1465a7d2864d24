"""Whisper's multilingual tokenizer, cut down to the tokens that the demo model's world uses.

Whisper's vocabulary has 51865 entries; a table that long would be three quarters of so small a model. Neither
CTranslate2 nor faster-whisper needs it whole: they look special tokens up by name, count the languages between
`<|startoftranscript|>` and `<|translate|>`, and call a model multilingual when the empty string is in its vocabulary.
So the special tokens stay complete and in OpenAI's order, and of the others only those in use stay.

`multilingual-cut.tiktoken` holds the kept lines of OpenAI's `multilingual.tiktoken` (MIT licence), unchanged: a token
in base64 and its rank. `cut_vocabulary` makes it anew when the phrases change.
"""

from __future__ import annotations

import base64
import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from .phrases import LANGUAGES, LARGEST_NUMBER, number_words, random_phrase, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenizers import Tokenizer

Ranks = dict[bytes, int]

CUT_VOCABULARY = Path(__file__).with_name("multilingual-cut.tiktoken")

WHISPER_LANGUAGES = (  # noqa: SIM905  a list of words reads better as words
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml"
    " cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am"
    " yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
).split()

TIMESTAMPS = 1501
"""<|0.00|> to <|30.00|>, 0.02 s apart."""

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in WHISPER_LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
    *(f"<|{hundredths // 50}.{hundredths % 50 * 2:02}|>" for hundredths in range(TIMESTAMPS)),
)

NON_SPEECH_SYMBOLS = (
    *"\"#()*+/:;<=>@[\\]^_`{|}~「」『』♩♪♫♬♭♮♯-'",
    *"<< >> <<< >>> -- --- -( -[ (' (\" (( )) ((( ))) [[ ]] {{ }} ♪♪ ♪♪♪".split(),  # noqa: SIM905
)
"""What faster-whisper suppresses when `suppress_tokens` is -1. It suppresses a symbol's first token; were these not
whole tokens here too, it would suppress bytes that letters are made of."""

_PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
_OTHERS = tuple(byte for byte in range(256) if byte not in _PRINTABLE)
_LETTER_OF_BYTE = {byte: chr(byte) for byte in _PRINTABLE} | {byte: chr(256 + i) for i, byte in enumerate(_OTHERS)}
"""GPT-2's printable stand-ins for bytes, in which `tokenizer.json` is written."""


def read_ranks(path: Path) -> Ranks:
    """Read a tiktoken file: one token in base64 and its rank on each line."""
    ranks: Ranks = {}
    for line in path.read_text(encoding="ascii").splitlines():
        token, rank = line.rsplit(" ", 1)
        # OpenAI's file writes the empty token as "=", which strict base64 refuses.
        ranks[b"" if token == "=" else base64.b64decode(token)] = int(rank)  # noqa: S105  a token of text
    return ranks


def split_of(token: bytes, ranks: Ranks) -> tuple[bytes, ...]:
    """Find the two tokens that byte pair encoding joined into a token; a tiktoken file does not say.

    Merging its bytes as usual, but only into tokens of lower rank, stops one merge before the token itself.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    while True:
        candidates = ((ranks.get(a + b, len(ranks) + 60_000), i) for i, (a, b) in enumerate(pairwise(parts)))
        rank, i = min(candidates, default=(ranks[token], 0))
        if rank >= ranks[token]:
            return tuple(parts)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def _letters(token: bytes) -> str:
    return "".join(_LETTER_OF_BYTE[byte] for byte in token)


def build_tokenizer(ranks: Ranks) -> Tokenizer:
    """Build the tokenizer that `tokenizer.json` holds: byte pair encoding, then Whisper's special tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415  slow to import

    tokens = sorted(ranks, key=ranks.__getitem__)
    merges = [(_letters(a), _letters(b)) for a, b in (split_of(token, ranks) for token in tokens if len(token) > 1)]
    vocabulary = {_letters(token): number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def demo_tokenizer() -> Tokenizer:
    """Build the demo model's own tokenizer from the cut vocabulary beside this file."""
    return build_tokenizer(read_ranks(CUT_VOCABULARY))


def used_texts() -> Iterable[str]:
    """List texts that between them hold every token the world needs: its phrases, prompts of its words, symbols."""
    texts = {prefix + symbol for symbol in NON_SPEECH_SYMBOLS for prefix in ("", " ")} | {
        ", ",
        " ,",
        " .",
        "?",
        "!",
        "-",
    }
    draw = random.Random(5)
    for language in LANGUAGES:
        phrases = [random_phrase(language, draw) for _ in range(20_000)]
        spoken = {phrase.text for phrase in phrases} | {phrase.english for phrase in phrases}
        spoken |= {number_words(number, language) for number in range(LARGEST_NUMBER + 1)}
        texts |= {written(text, language) for text in spoken}
        texts |= {f" {text}" for text in spoken}
        texts |= {f" {word}" for text in spoken for word in text.split()}
    return sorted(texts)


def cut_vocabulary(multilingual: Path) -> None:
    """Write `multilingual-cut.tiktoken` from OpenAI's whole vocabulary.

    Args:
        multilingual: `whisper/assets/multilingual.tiktoken` of the package openai-whisper.
    """
    ranks = read_ranks(multilingual)
    whole = build_tokenizer(ranks)
    byte_of_letter = {letter: byte for byte, letter in _LETTER_OF_BYTE.items()}
    waiting = {
        bytes(byte_of_letter[letter] for letter in token)
        for text in used_texts()
        for token in whole.encode(text, add_special_tokens=False).tokens
    }
    kept = {b""} | {token for token in ranks if len(token) == 1}
    while waiting:
        token = waiting.pop()
        if token not in kept:
            kept.add(token)
            waiting.update(split_of(token, ranks))
    lines = (
        f"{base64.b64encode(token).decode() or '='} {ranks[token]}\n" for token in sorted(kept, key=ranks.__getitem__)
    )
    CUT_VOCABULARY.write_text("".join(lines), encoding="ascii")
