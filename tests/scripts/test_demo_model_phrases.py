"""The demo model's world: what can be said, and what is never said in training."""

import random
import string
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from demo_model.phrases import (
    DIGITS,
    LANGUAGES,
    PHRASE_BOOK,
    SLOTS,
    TEMPLATES,
    WORD_LISTS,
    Language,
    Phrase,
    closed_texts,
    digit_string,
    is_held_out,
    is_open,
    number_words,
    random_phrase,
    written,
)
from demo_model.speech import (
    HELD_OUT_VARIANTS,
    PLAIN_VARIANTS,
    TRAINING_VARIANTS,
    held_out_utterances,
    training_utterances,
)


def test_every_list_has_as_many_entries_in_each_language() -> None:
    tables = [DIGITS, TEMPLATES, *WORD_LISTS.values(), *SLOTS.values()]

    assert [len(table[language]) for table in tables for language in LANGUAGES] == [
        len(table["en"]) for table in tables for _ in LANGUAGES
    ]
    assert {len(row) for row in PHRASE_BOOK} == {len(LANGUAGES)}


def test_templates_use_the_same_slots_in_each_language() -> None:
    def slots(template: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name}

    for which, english in enumerate(TEMPLATES["en"]):
        assert {frozenset(slots(TEMPLATES[language][which])) for language in LANGUAGES} == {frozenset(slots(english))}


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_are_well_formed(language: Language) -> None:
    draw = random.Random(1)

    for phrase in (random_phrase(language, draw) for _ in range(2000)):
        assert phrase.language == language
        assert not set("{}|\n").intersection(phrase.text + phrase.english)
        assert "  " not in phrase.text
        assert language != "en" or phrase.english == phrase.text


@pytest.mark.parametrize(
    ("number", "language", "words"),
    [
        (0, "zh", "零"),
        (10, "zh", "十"),
        (15, "zh", "十五"),
        (40, "zh", "四十"),
        (105, "zh", "一百零五"),
        (110, "zh", "一百一十"),
        (243, "zh", "二百四十三"),
        (243, "en", "two hundred and forty-three"),
        (243, "de", "zweihundertdreiundvierzig"),
        (271, "fr", "deux cent soixante et onze"),
        (743, "es", "setecientos cuarenta y tres"),
    ],
)
def test_numbers_are_written_as_spoken(number: int, language: Language, words: str) -> None:
    assert number_words(number, language) == words


@pytest.mark.parametrize("number", [-1, 1000])
def test_numbers_outside_the_world_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 999"):
        number_words(number, "en")


def test_digit_strings_are_said_one_by_one() -> None:
    assert digit_string((5, 0, 5), "de") == "fünf null fünf"
    assert digit_string((5, 0, 5), "zh") == "五零五"


def test_a_phrase_without_text_is_refused() -> None:
    with pytest.raises(ValueError, match="text and a translation"):
        Phrase(language="en", text="", english="yes")


def test_texts_are_written_as_whisper_writes_them() -> None:
    assert written("qué hora es", "es") == " Qué hora es."
    assert written("打开灯", "zh") == "打开灯。"


def test_closed_texts_are_never_held_out() -> None:
    assert not any(map(is_held_out, closed_texts()))


def test_a_tenth_of_the_open_texts_is_held_out() -> None:
    draw = random.Random(2)
    texts = {random_phrase(language, draw).text for language in LANGUAGES for _ in range(3000)}
    opened = [text for text in texts if is_open(text)]

    assert 0.08 < sum(map(is_held_out, opened)) / len(opened) < 0.12


def test_training_never_says_a_held_out_text_nor_uses_a_held_out_voice() -> None:
    trained = list(training_utterances(3000, "any"))

    assert not any(is_held_out(utterance.phrase.text) for utterance in trained)
    assert not {utterance.voice.partition("+")[2] for utterance in trained}.intersection(HELD_OUT_VARIANTS)
    assert not set(HELD_OUT_VARIANTS).intersection((*TRAINING_VARIANTS, *PLAIN_VARIANTS))


@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_utterances_are_all_unseen_and_differ(language: Language) -> None:
    drawn = list(held_out_utterances(language, 150, "any"))

    assert len({utterance.phrase.text for utterance in drawn}) == 150
    assert all(is_held_out(utterance.phrase.text) for utterance in drawn)
    assert {utterance.voice.partition("+")[2] for utterance in drawn} <= set(HELD_OUT_VARIANTS)


def test_a_seed_draws_the_same_utterances_again() -> None:
    assert list(training_utterances(50, "one")) == list(training_utterances(50, "one"))
    assert list(training_utterances(50, "one")) != list(training_utterances(50, "two"))
