"""A real `./serve` with a Voxtral: the same answers in the same forms, and what it cannot do refused by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.http_contract import families
from tests.http_contract.conftest import Server, start, stop, wait_ready
from tests.http_contract.families import LONG, SPEECH, ask


@pytest.fixture(scope="module")
def voxtral_server(tmp_path_factory: pytest.TempPathFactory, voxtral_folder: Path) -> Iterator[Server]:
    running = start(
        tmp_path_factory.mktemp("server"),
        MODEL_ID=str(voxtral_folder),
        DEVICE="cpu",
        MAX_THREADS_PER_BATCH="1",
        MAX_BATCH_WINDOWS="8",
    )
    try:
        wait_ready(running)
        yield running
    finally:
        stop(running)


def test_json_has_a_segment_for_each_passage(voxtral_server: Server) -> None:
    answer = ask(voxtral_server, LONG)
    segments = answer["segments"]

    assert " ".join(segment["text"] for segment in segments) == answer["text"]
    assert answer["detected_language"] is None
    assert len(segments) >= 3
    assert segments[-1]["end"] > 100
    for before, following in pairwise(segments):
        assert before["start"] < before["end"] <= following["start"]
        assert before["end"] - before["start"] < 60


def test_all_of_a_recording_is_read_without_speech_detection(voxtral_server: Server) -> None:
    answer = ask(voxtral_server, LONG, vad_filter=False)

    for before, following in pairwise(answer["segments"]):
        assert following["start"] <= before["end"] + 0.001 or before["end"] - before["start"] < 30
    assert answer["segments"][0]["start"] == 0


def test_the_language_that_the_caller_names_is_shown_to_the_model_and_given_back(voxtral_server: Server) -> None:
    german, french = ask(voxtral_server, language="german"), ask(voxtral_server, language="fr")

    assert (german["detected_language"], german["language_probability"]) == ("de", 1.0)
    assert german["text"] != french["text"]


def test_text_is_the_text(voxtral_server: Server) -> None:
    assert ask(voxtral_server, response_format="text").strip() == ask(voxtral_server)["text"]


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_hold_the_same_text(voxtral_server: Server, form: str) -> None:
    families.assert_subtitles_hold_the_same_text(voxtral_server, form)


def test_a_stream_brings_the_same_segments(voxtral_server: Server) -> None:
    families.assert_a_stream_brings_the_same_segments(voxtral_server)


def test_company_makes_no_difference(voxtral_server: Server) -> None:
    audio = [(DATA / name).read_bytes() for name in ("en-one-phrase.wav", "en-two-phrases.mp3", "two-minutes.flac")]
    alone = [ask(voxtral_server, each)["text"] for each in audio]
    with ThreadPoolExecutor(6) as callers:
        together = list(callers.map(lambda each: ask(voxtral_server, each)["text"], audio * 2))

    assert together == alone * 2


def test_callers_of_awss_container_for_voxtral_send_what_they_sent(voxtral_server: Server) -> None:
    said = {"audio": {"data": base64.b64encode(SPEECH).decode()}, "language": "en", "temperature": 0.0}
    answer = voxtral_server.send(json.dumps({"transcription": said}), {"Content-Type": "application/json"})
    transcription = json.loads(answer.body)["transcription"]

    assert answer.status == 200
    assert (transcription["text"], transcription["language"]) == (ask(voxtral_server, language="en")["text"], "en")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"task": "translate"}, "task translate is not something Voxtral can do; it can transcribe"),
        ({"word_timestamps": True}, "Voxtral gives no word timestamps; leave word_timestamps out"),
        ({"beam_size": 3}, "beam_size is not something Voxtral can heed; leave it out"),
        ({"initial_prompt": "Turn on"}, "initial_prompt is not something Voxtral can heed; leave it out"),
        ({"hotwords": "kitchen"}, "hotwords is not something Voxtral can heed; leave it out"),
        (
            {"condition_on_previous_text": True},
            "condition_on_previous_text is not something Voxtral can heed; leave it out",
        ),
        ({"language": "zh"}, "Voxtral does not know the language 'zh'; it knows de, en, es, fr, hi, it, nl, pt"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_it_cannot_do_is_refused_in_a_sentence(
    voxtral_server: Server, options: dict[str, Any], sentence: str
) -> None:
    families.assert_refused(voxtral_server, options, sentence)


def test_greedy_search_may_be_asked_for_by_name(voxtral_server: Server) -> None:
    assert ask(voxtral_server, beam_size=1, temperature=0) == ask(voxtral_server)


def test_text_may_be_drawn_at_a_temperature(voxtral_server: Server) -> None:
    answer = ask(voxtral_server, temperature=1, response_format="verbose_json")

    assert {segment["temperature"] for segment in answer["segments"]} == {1.0}


def test_the_log_is_one_object_a_line(voxtral_server: Server) -> None:
    """Neither PyTorch nor transformers writes past it."""
    entries = voxtral_server.entries()

    assert entries
    assert {type(entry) for entry in entries} == {dict}
