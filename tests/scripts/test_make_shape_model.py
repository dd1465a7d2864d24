"""A model of true size and random weights: the tokens asked for, whatever it hears and however it is asked."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from make_shape_model import make
from shape_model.chains import CLOSING_S, MOST_TOKENS, links
from shape_model.sizes import SIZES
from shape_model.vocabulary import Vocabulary, make_vocabulary

from transcriber.engines import whisper_model
from transcriber.engines.base import Window
from transcriber.options import DecodingOptions
from transcriber.settings import load
from transcriber.transcript import Hypothesis

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_shape_model.py"
TOKENS = 7
SECOND = 16_000


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    make("tiny", folder, tokens=TOKENS, quantization="int8", seed=1)
    return folder


@pytest.fixture(scope="session")
def whisper(folder: Path) -> WhisperModel:
    return WhisperModel(str(folder), device="cpu", cpu_threads=1)


@pytest.fixture(scope="session")
def encoded(whisper: WhisperModel) -> ctranslate2.StorageView:
    """Three windows: silence, noise, loud noise."""
    noise = np.random.default_rng(0).standard_normal((3, 80, 3000)).astype(np.float32)
    noise *= np.array([0, 0.3, 2], np.float32)[:, np.newaxis, np.newaxis]
    return whisper.model.encode(ctranslate2.StorageView.from_array(noise))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return make_vocabulary(has_cantonese=False, draw=random.Random(1))


def tokenizer(whisper: WhisperModel) -> Tokenizer:
    return Tokenizer(whisper.hf_tokenizer, multilingual=True, task="transcribe", language="de")


def noise(seconds: float) -> Any:
    return np.random.default_rng(1).standard_normal(round(seconds * SECOND)).astype(np.float32) * 0.1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("tiny", 37_760_640),
        ("base", 72_593_920),
        ("small", 241_734_912),
        ("turbo", 808_878_080),
        ("large-v3", 1_543_490_560),
    ],
)
def test_shapes_have_as_many_parameters_as_openai_s_models(name: str, parameters: int) -> None:
    assert SIZES[name].parameters == parameters


@pytest.mark.parametrize("text_before", [0, 1, 223])
@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("beam_size", [1, 5])
def test_every_window_has_the_tokens_asked_for(
    whisper: WhisperModel,
    encoded: ctranslate2.StorageView,
    beam_size: int,
    timestamps: bool,
    text_before: int,
) -> None:
    known = tokenizer(whisper)
    before = [known.sot_prev, *range(1000, 1000 + text_before)] if text_before else []
    prompt = [*before, *known.sot_sequence, *([] if timestamps else [known.no_timestamps])]

    results = whisper.model.generate(
        encoded, [prompt] * 3, beam_size=beam_size, num_hypotheses=beam_size, return_scores=True
    )

    for result in results:
        for tokens in result.sequences_ids:
            assert sum(token < known.eot for token in tokens) == TOKENS
            assert len(tokens) == TOKENS + 2 * timestamps
            assert len(set(tokens)) == len(tokens)
        assert result.scores[0] > -0.1
        assert len({round(score, 4) for score in result.scores}) == beam_size, "beams do not tie"
    assert len({tuple(result.sequences_ids[0]) for result in results}) == 1, "what is heard does not matter"


def test_timestamps_open_and_close_the_text(whisper: WhisperModel, encoded: ctranslate2.StorageView) -> None:
    known = tokenizer(whisper)

    (tokens, *_others) = whisper.model.generate(encoded, [list(known.sot_sequence)] * 3)[0].sequences_ids

    closing = known.timestamp_begin + round(CLOSING_S / 0.02)
    assert [token for token in tokens if token >= known.timestamp_begin] == [known.timestamp_begin, closing]
    assert (tokens[0], tokens[-1]) == (known.timestamp_begin, closing)


def test_the_language_is_english_and_there_is_speech(whisper: WhisperModel, encoded: ctranslate2.StorageView) -> None:
    known = tokenizer(whisper)

    languages = whisper.model.detect_language(encoded)
    results = whisper.model.generate(encoded, [list(known.sot_sequence)] * 3, return_no_speech_prob=True)

    for guesses in languages:
        assert guesses[0][0] == "<|en|>"
        assert guesses[0][1] > 0.9
    assert all(result.no_speech_prob < 0.01 for result in results)


@pytest.mark.parametrize("options", [{}, {"beam_size": 1, "without_timestamps": True}])
def test_faster_whisper_reads_on_and_never_falls_back(whisper: WhisperModel, options: dict[str, Any]) -> None:
    segments, about = whisper.transcribe(noise(35), **options)

    parts = list(segments)
    assert (about.language, len(parts)) == ("en", 2), "the text of the first window stands before the second"
    for part in parts:
        assert part.temperature == 0
        assert len(part.text.split()) == TOKENS
        assert part.compression_ratio < 2.4
        assert part.avg_logprob > -0.1


def test_our_engine_takes_it_as_it_is(folder: Path) -> None:
    engine = whisper_model.load(folder, load({"DEVICE": "cpu"}))
    windows = [
        Window(samples=noise(4), start_sample=0, language=language, decoding=DecodingOptions(word_timestamps=words))
        for language, words in ((None, False), ("fr", True))
    ]

    outcomes = [engine.transcribe([engine.prepare(window)])[0] for window in windows]

    for outcome in outcomes:
        assert isinstance(outcome, Hypothesis), "it doubts its text"
        assert len("".join(segment.text for segment in outcome.segments).split()) == TOKENS
    assert len(outcomes[1].segments[0].words) == TOKENS
    engine.close()


def test_the_longest_text_still_does_not_repeat_itself(vocabulary: Vocabulary) -> None:
    words = [following.members[0] for _last, following in links(vocabulary, MOST_TOKENS)]

    assert len(set(words)) == 2 * MOST_TOKENS + 4, "two chains, language, opening and closing timestamp, end"


@pytest.mark.parametrize("tokens", [0, MOST_TOKENS + 1])
def test_a_model_cannot_give_more_tokens_than_whisper(vocabulary: Vocabulary, tokens: int) -> None:
    with pytest.raises(ValueError, match="can give 1 to 220"):
        links(vocabulary, tokens)


@pytest.mark.parametrize(("has_cantonese", "size"), [(False, 51_865), (True, 51_866)])
def test_special_tokens_have_openai_s_ids(*, has_cantonese: bool, size: int) -> None:
    vocabulary = make_vocabulary(has_cantonese=has_cantonese, draw=random.Random(1))
    known = Tokenizer(vocabulary.tokenizer, multilingual=True, task="translate", language="su")

    assert len(set(vocabulary.tokens())) == size
    assert (known.eot, known.sot, known.language) == (50_257, 50_258, 50_357)
    assert (known.task, known.transcribe, known.sot_prev, known.no_speech, known.no_timestamps) == tuple(
        first + has_cantonese for first in (50_358, 50_359, 50_361, 50_362, 50_363)
    )
    assert vocabulary.tokenizer.token_to_id("<|yue|>") == (50_358 if has_cantonese else None)


def test_faster_whisper_suppresses_what_openai_does(vocabulary: Vocabulary) -> None:
    known = Tokenizer(vocabulary.tokenizer, multilingual=True, task="transcribe", language="en")

    assert set(get_suppressed_tokens(known, [-1])) == set(vocabulary.suppressed)
    assert len(vocabulary.suppressed) == 88


def test_no_word_is_spelt_like_another(vocabulary: Vocabulary) -> None:
    spelt = [vocabulary.tokenizer.decode([token]) for token in vocabulary.words]

    assert len(set(spelt)) == len(spelt)
    assert all(word.isascii() and word.strip().isalpha() for word in spelt)


def test_the_same_seed_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    make("tiny", tmp_path / "again", tokens=TOKENS, quantization="int8", seed=1)

    for file in folder.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_the_folder_says_what_it_was_made_from(folder: Path) -> None:
    assert json.loads((folder / "shape.json").read_text("utf-8")) == {
        "shape": "tiny",
        "tokens": TOKENS,
        "quantization": "int8",
        "seed": 1,
        "parameters": 37_760_640,
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["huge", "OUT"], "invalid choice: 'huge'"),
        (["tiny", "OUT", "--tokens", "300"], "--tokens is 300; a Whisper model can give 1 to 220"),
    ],
)
def test_bad_arguments_are_told_in_a_line(arguments: list[str], complaint: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, timeout=60
    )

    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
