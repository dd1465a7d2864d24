"""OpenAI's own client, unmodified, against a real `./serve`."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from tests.conftest import DATA
from tests.http_contract.conftest import Server

SPEECH = DATA / "en-one-phrase.wav"
SPANISH = DATA / "es-two-phrases.flac"
LONG = DATA / "two-minutes.flac"
SAID = "Buy bread and coffee."


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=f"http://127.0.0.1:{server.port}/v1", api_key="unused", max_retries=0, timeout=100.0
    ) as running:
        yield running


def test_a_transcription_has_its_text(client: OpenAI) -> None:
    heard = client.audio.transcriptions.create(file=SPEECH, model="whisper-1")

    assert heard.text == SAID
    assert heard.usage is not None
    assert (heard.usage.type, heard.usage.seconds) == ("duration", 2)


def test_every_field_of_the_client_is_understood(client: OpenAI) -> None:
    heard = client.audio.transcriptions.create(
        file=SPEECH,
        model="gpt-4o-transcribe",
        language="en",
        prompt="A shopping list.",
        temperature=0,
        response_format="json",
        keywords=["bread", "coffee"],
        chunking_strategy={
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
        },
        stream=False,
    )

    assert heard.text
    assert client.audio.transcriptions.create(file=SPEECH, model="x", chunking_strategy="auto", languages=["en"]).text


def test_verbose_json_has_segments_and_words_as_they_are_asked_for(client: OpenAI) -> None:
    both = client.audio.transcriptions.create(
        file=SPEECH, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    words = client.audio.transcriptions.create(
        file=SPEECH, model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
    )
    plain = client.audio.transcriptions.create(file=SPEECH, model="whisper-1", response_format="verbose_json")

    assert (both.text, both.language) == (SAID, "english")
    assert both.duration == pytest.approx(1.92, abs=0.01)
    assert both.words is not None
    assert [word.word for word in both.words] == SAID.split()
    assert both.segments is not None
    segment = both.segments[0]
    assert (segment.id, segment.seek, segment.text) == (0, 0, f" {SAID}")
    assert 0 <= segment.start < segment.end <= both.duration
    assert segment.tokens
    assert segment.avg_logprob < 0 < segment.compression_ratio
    assert 0 <= segment.no_speech_prob <= 1
    assert segment.temperature == 0
    assert both.model_extra == {"task": "transcribe"}
    assert (words.segments, words.words) == (None, both.words)
    assert (plain.segments, plain.words) == (both.segments, None)


@pytest.mark.parametrize(("form", "begins"), [("text", SAID), ("srt", "1\n00:00:00,"), ("vtt", "WEBVTT\n")])
def test_forms_of_text_come_as_text(client: OpenAI, form: str, begins: str) -> None:
    heard = client.audio.transcriptions.create(
        file=SPEECH,
        model="whisper-1",
        response_format=form,  # type: ignore[call-overload]  # one of the overload's literals
    )

    assert isinstance(heard, str)
    assert heard.startswith(begins)
    assert SAID in heard


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the client's word on OpenAI's own service
def test_a_translation_is_english(client: OpenAI) -> None:
    own = client.audio.transcriptions.create(file=SPANISH, model="whisper-1", response_format="verbose_json")
    english = client.audio.translations.create(file=SPANISH, model="whisper-1")
    verbose = client.audio.translations.create(file=SPANISH, model="whisper-1", response_format="verbose_json")

    assert english.text != own.text
    assert english.text == verbose.text
    assert verbose.model_extra is not None
    assert verbose.model_extra["task"] == "translate"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_stream_is_text_after_text_and_the_whole_at_last(client: OpenAI, form: str) -> None:
    stream = client.audio.transcriptions.create(
        file=LONG,
        model="gpt-4o-transcribe",
        stream=True,
        response_format=form,  # type: ignore[arg-type]  # one of the literals
        extra_body={"temperature": "[0]"},
    )
    *deltas, done = list(stream)

    assert len(deltas) > 10
    assert all(isinstance(delta, TranscriptionTextDeltaEvent) for delta in deltas)
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert "".join(delta.delta for delta in deltas if delta.type == "transcript.text.delta") == done.text


def test_a_refusal_is_the_client_s_own_exception(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        client.audio.transcriptions.create(file=SPEECH, model="whisper-1", language="klingon")

    assert refusal.value.code == "malformed_request"
    assert refusal.value.type == "invalid_request_error"
    assert refusal.value.param is None
    assert "'language' is \"klingon\"" in refusal.value.message


def test_what_is_no_audio_is_refused_before_a_stream_begins(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as refusal:
        client.audio.transcriptions.create(file=("a.wav", b"no audio" * 100), model="whisper-1", stream=True)

    assert (refusal.value.status_code, refusal.value.code) == (415, "not_audio")


def test_what_nobody_can_do_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="logprobs"):
        client.audio.transcriptions.create(file=SPEECH, model="x", include=["logprobs"])
    with pytest.raises(openai.BadRequestError, match="verbose_json"):
        client.audio.transcriptions.create(file=SPEECH, model="x", timestamp_granularities=["word"])


def test_the_model_is_listed(client: OpenAI) -> None:
    (model,) = client.models.list()

    assert model.id == "demo"
    assert model.created > 1_700_000_000
