"""The cut vocabulary: small, lossless for the demo model's world, and laid out as Whisper's."""

import json
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from demo_model.tokenizer import (
    CUT_VOCABULARY,
    NON_SPEECH_SYMBOLS,
    SPECIAL_TOKENS,
    WHISPER_LANGUAGES,
    demo_tokenizer,
    read_ranks,
    split_of,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return demo_tokenizer()


def recorded_texts() -> list[str]:
    lines = (ROOT / "tests" / "data" / "manifest.jsonl").read_text("utf-8").splitlines()
    return [f" {json.loads(line)['text']}" for line in lines]


@pytest.mark.parametrize("text", [*recorded_texts(), " Wie spät ist es.", "八三。", " été, ¿qué? 東京 🎈"])
def test_encoding_loses_nothing(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_common_words_are_single_tokens(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(" turn on the light", add_special_tokens=False).tokens == ["Ġturn", "Ġon", "Ġthe", "Ġlight"]


def test_special_tokens_stand_in_whispers_order(tokenizer: Tokenizer) -> None:
    first = tokenizer.token_to_id("<|endoftext|>")
    numbers = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]

    assert numbers == list(range(first, first + len(SPECIAL_TOKENS)))
    assert tokenizer.get_vocab_size() == first + len(SPECIAL_TOKENS)
    # CTranslate2 counts the languages so.
    assert tokenizer.token_to_id("<|nospeech|>") - tokenizer.token_to_id("<|startoftranscript|>") - 5 == 99
    assert len(WHISPER_LANGUAGES) == 99
    assert SPECIAL_TOKENS[-1] == "<|30.00|>"


def test_the_empty_token_stays_so_that_the_model_counts_as_multilingual(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_to_id("") is not None


def test_every_byte_is_a_token() -> None:
    assert {token for token in read_ranks(CUT_VOCABULARY) if len(token) == 1} == {bytes([byte]) for byte in range(256)}


def test_every_token_is_made_of_two_that_stayed() -> None:
    ranks = read_ranks(CUT_VOCABULARY)

    for token in ranks:
        if len(token) > 1:
            parts = split_of(token, ranks)
            assert len(parts) == 2
            assert all(part in ranks for part in parts)


def test_suppressing_symbols_suppresses_no_bytes_of_letters(tokenizer: Tokenizer) -> None:
    """faster-whisper bans a symbol only where it is one token; notes (♪) it bans by their first."""
    whole = {symbol for symbol in NON_SPEECH_SYMBOLS if len(symbol) == 1 and symbol not in "♩♪♫♬♭♮♯"}

    assert {symbol for symbol in whole if len(tokenizer.encode(symbol, add_special_tokens=False).ids) > 1} == set()
