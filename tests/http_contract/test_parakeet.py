"""A real `./serve` with a Parakeet: the same answers in the same forms, and what it cannot do refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.http_contract import families
from tests.http_contract.conftest import READY_WITHIN_S, Server, start, stop, wait_ready
from tests.http_contract.families import LONG, ask
from tests.patience import wait_until


@pytest.fixture(scope="module")
def parakeet_server(tmp_path_factory: pytest.TempPathFactory, parakeet_folder: Path) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("server"), MODEL_ID=str(parakeet_folder), DEVICE="cpu")
    try:
        wait_ready(running)
        yield running
    finally:
        stop(running)


@pytest.mark.parametrize("vad_filter", [True, False])
def test_json_has_text_and_segments_on_the_recordings_clock(parakeet_server: Server, vad_filter: bool) -> None:
    answer = ask(parakeet_server, LONG, vad_filter=vad_filter, word_timestamps=True)
    segments = answer["segments"]
    words = [word for segment in segments for word in segment["words"]]

    assert " ".join(segment["text"] for segment in segments) == answer["text"]
    assert answer["detected_language"] is None
    assert segments[-1]["end"] > 100
    for before, following in pairwise(words):
        assert before["start"] <= before["end"] <= following["start"] <= answer["duration"]


def test_the_language_that_the_caller_names_is_given_back(parakeet_server: Server) -> None:
    named = ask(parakeet_server, language="german")

    assert (named["detected_language"], named["language_probability"]) == ("de", 1.0)
    assert named["text"] == ask(parakeet_server)["text"]


def test_verbose_json_has_words_and_tokens(parakeet_server: Server) -> None:
    answer = ask(parakeet_server, response_format="verbose_json", word_timestamps=True)

    assert answer["task"] == "transcribe"
    assert answer["words"]
    for segment in answer["segments"]:
        assert segment["tokens"]
        assert segment["avg_logprob"] < 0
        assert segment["compression_ratio"] > 0


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_hold_the_same_text(parakeet_server: Server, form: str) -> None:
    families.assert_subtitles_hold_the_same_text(parakeet_server, form)


def test_a_stream_brings_the_same_segments(parakeet_server: Server) -> None:
    families.assert_a_stream_brings_the_same_segments(parakeet_server)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": "translate"}, "task translate is not something Parakeet can do; it can transcribe"),
        ({"beam_size": 3}, "beam_size is not something Parakeet can heed; leave it out"),
        ({"temperature": 0.4}, "temperature is not something Parakeet can heed; leave it out"),
        ({"initial_prompt": "Turn on"}, "initial_prompt is not something Parakeet can heed; leave it out"),
        ({"hotwords": "kitchen"}, "hotwords is not something Parakeet can heed; leave it out"),
        (
            {"condition_on_previous_text": True},
            "condition_on_previous_text is not something Parakeet can heed; leave it out",
        ),
        ({"no_speech_threshold": 0.1}, "no_speech_threshold is not something Parakeet can heed; leave it out"),
        ({"language": "zh"}, "Parakeet does not know the language 'zh'; it knows bg, cs, da, "),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_it_cannot_do_is_refused_in_a_sentence(
    parakeet_server: Server, options: dict[str, Any], sentence: str
) -> None:
    families.assert_refused(parakeet_server, options, sentence)


def test_greedy_search_may_be_asked_for_by_name(parakeet_server: Server) -> None:
    assert ask(parakeet_server, beam_size=1, temperature=0) == ask(parakeet_server)


def test_a_folder_of_no_known_family_stops_the_loading_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    running = start(tmp_path, MODEL_ID=str(folder))
    try:
        wait_until(lambda: "model failed to load" in running.log.read_text(), "the failure", within_s=READY_WITHIN_S)
    finally:
        stop(running)

    assert "this container serves a Whisper in CTranslate2's format" in running.log.read_text()
