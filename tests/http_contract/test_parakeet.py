"""A real `./serve` with a Parakeet: the same answers in the same forms, and what it cannot do refused by name."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.http_contract.conftest import READY_WITHIN_S, Server, start, stop, wait_ready

SPEECH = (DATA / "en-two-phrases.mp3").read_bytes()
LONG = (DATA / "two-minutes.flac").read_bytes()


@pytest.fixture(scope="module")
def parakeet_server(tmp_path_factory: pytest.TempPathFactory, parakeet_folder: Path) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("server"), MODEL_ID=str(parakeet_folder), DEVICE="cpu")
    try:
        wait_ready(running)
        yield running
    finally:
        stop(running)


def ask(server: Server, audio: bytes = SPEECH, **options: Any) -> Any:
    body = json.dumps({"audio_b64": base64.b64encode(audio).decode(), **options})
    answer = server.send(body, {"Content-Type": "application/json"})
    assert answer.status == 200, answer.body
    return json.loads(answer.body) if answer.headers["Content-Type"] == "application/json" else answer.body.decode()


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
    cues = ask(parakeet_server, response_format=form).strip().split("\n\n")
    lines = [line for cue in cues if "-->" in cue for line in cue.split("-->")[1].split("\n")[1:]]

    assert lines
    assert "".join("".join(lines).split()) == "".join(ask(parakeet_server)["text"].split())


def test_a_stream_brings_the_same_segments(parakeet_server: Server) -> None:
    streamed = parakeet_server.send(LONG, {"Accept": "application/jsonlines"})
    records = [json.loads(line) for line in streamed.body.decode().splitlines()]
    whole = ask(parakeet_server, LONG)

    assert [record["text"] for record in records if record["type"] == "segment"] == [
        segment["text"] for segment in whole["segments"]
    ]
    assert records[-1]["text"] == whole["text"]


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
    body = json.dumps({"audio_b64": base64.b64encode(SPEECH).decode(), **options})
    answer = parakeet_server.send(body, {"Content-Type": "application/json"})
    refusal = json.loads(answer.body)

    assert (answer.status, refusal["code"]) == (400, "unsupported_option")
    assert refusal["error"].startswith(sentence)


def test_greedy_search_may_be_asked_for_by_name(parakeet_server: Server) -> None:
    assert ask(parakeet_server, beam_size=1, temperature=0) == ask(parakeet_server)


def test_a_folder_of_no_known_family_stops_the_loading_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    running = start(tmp_path, MODEL_ID=str(folder))
    deadline = time.monotonic() + READY_WITHIN_S
    try:
        while "model failed to load" not in running.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)  # there is no other clock than the other process's own
    finally:
        stop(running)

    assert "this container serves a Whisper in CTranslate2's format" in running.log.read_text()
