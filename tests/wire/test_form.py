from __future__ import annotations

import pytest

from transcriber.audio.sources import Upload
from transcriber.errors import MalformedRequest, TranscriberError, UnsupportedOption
from transcriber.options import (
    LADDER,
    DecodingOptions,
    Dialect,
    ResponseFormat,
    StreamFormat,
    Task,
    TranscriptionOptions,
)
from transcriber.wire import form
from transcriber.wire.job import Answer, Defaults, Job


def parse(
    upload: Upload,
    fields: dict[str, str | list[str]],
    defaults: Defaults,
    *,
    accept: str | None = None,
    task: Task | None = None,
) -> Job:
    values = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return form.parse(upload, values, accept=accept, defaults=defaults, task=task)


def test_openai_s_fields_are_understood(upload: Upload, defaults: Defaults) -> None:
    fields: dict[str, str | list[str]] = {
        "model": "whisper-1",
        "language": "de",
        "prompt": "Minutes.",
        "response_format": "verbose_json",
        "temperature": "0.2",
        "timestamp_granularities[]": ["word", "segment"],
        "stream": "false",
    }

    assert parse(upload, fields, defaults) == Job(
        source=upload,
        options=TranscriptionOptions(
            language="de",
            decoding=DecodingOptions(temperatures=(0.2,), initial_prompt="Minutes.", word_timestamps=True),
        ),
        answer=Answer(format=ResponseFormat.VERBOSE_JSON, with_segments=True, with_words=True, dialect=Dialect.OPENAI),
    )


def test_our_own_names_are_understood_too(upload: Upload, defaults: Defaults) -> None:
    job = parse(upload, {"beam_size": "1", "vad_filter": "False", "no_speech_threshold": "null"}, defaults)

    assert job.options == TranscriptionOptions(
        vad_filter=False, decoding=DecodingOptions(beam_size=1, no_speech_threshold=None)
    )


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [("0", LADDER), ("0.0", LADDER), ("0.4", (0.4,)), ("0,0.4", (0.0, 0.4)), ("[0]", (0.0,))],
)
def test_a_temperature_of_0_is_the_whole_ladder(
    temperature: str, expected: tuple[float, ...], upload: Upload, defaults: Defaults
) -> None:
    """OpenAI: "If set to 0, the model will use log probability to automatically increase the temperature"."""
    assert parse(upload, {"temperature": temperature}, defaults).options.decoding.temperatures == expected


@pytest.mark.parametrize(
    ("granularities", "with_segments", "with_words"),
    [
        (["segment"], True, False),
        (["word"], False, True),
        (["word", "word"], False, True),
        (["segment", "word"], True, True),
    ],
)
def test_granularities_choose_segments_and_words(
    granularities: list[str], with_segments: bool, with_words: bool, upload: Upload, defaults: Defaults
) -> None:
    fields: dict[str, str | list[str]] = {
        "timestamp_granularities[]": granularities,
        "response_format": "verbose_json",
    }

    assert parse(upload, fields, defaults).answer == Answer(
        format=ResponseFormat.VERBOSE_JSON, with_segments=with_segments, with_words=with_words
    )


@pytest.mark.parametrize("name", ["file", "content"])
def test_the_audio_is_the_part_named_file_or_content(name: str) -> None:
    assert form.file_part({name: 1}) == name


def test_a_form_is_openai_s_when_it_names_a_model_or_comes_to_its_path(upload: Upload, defaults: Defaults) -> None:
    assert parse(upload, {}, defaults).answer.dialect is Dialect.OWN
    assert parse(upload, {"model": "whisper-1"}, defaults).answer.dialect is Dialect.OPENAI
    assert parse(upload, {}, defaults, task=Task.TRANSCRIBE).answer.dialect is Dialect.OPENAI


def test_openai_s_forms_are_json_whatever_accept_says(upload: Upload, defaults: Defaults) -> None:
    job = parse(upload, {"model": "whisper-1"}, defaults, accept="image/png, text/vtt")

    assert (job.answer.format, job.answer.stream) == (ResponseFormat.JSON, None)


@pytest.mark.parametrize("response_format", [None, "json", "text"])
def test_a_stream_of_openai_s_is_text_after_text(
    response_format: str | None, upload: Upload, defaults: Defaults
) -> None:
    fields: dict[str, str | list[str]] = {"model": "gpt-4o-transcribe", "stream": "true"}
    if response_format:
        fields["response_format"] = response_format

    assert parse(upload, fields, defaults).answer.stream is StreamFormat.OPENAI
    assert parse(upload, {"stream": "true"}, defaults).answer.stream is StreamFormat.JSON_LINES


def test_a_path_knows_its_task(upload: Upload, defaults: Defaults) -> None:
    assert parse(upload, {}, defaults, task=Task.TRANSLATE).options.decoding.task is Task.TRANSLATE
    assert parse(upload, {"task": "translate"}, defaults).options.decoding.task is Task.TRANSLATE
    with pytest.raises(MalformedRequest, match="'task' is \"transcribe\""):
        parse(upload, {"task": "transcribe"}, defaults, task=Task.TRANSLATE)


def test_keywords_are_hotwords(upload: Upload, defaults: Defaults) -> None:
    job = parse(upload, {"keywords[]": ["Siobhán", "Łódź"]}, defaults)

    assert job.options.decoding.hotwords == "Siobhán, Łódź"


@pytest.mark.parametrize(
    ("languages", "expected"), [(["de"], "de"), (["German"], "de"), (["de", "fr"], None), ([], None)]
)
def test_of_several_possible_languages_one_is_detected(
    languages: list[str], expected: str | None, upload: Upload, defaults: Defaults
) -> None:
    assert parse(upload, {"languages[]": languages}, defaults).options.language == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": "auto"},
        {"chunking_strategy": '{"type": "server_vad", "threshold": 0.5}'},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[silence_duration_ms]": "500"},
    ],
)
def test_a_chunking_strategy_finds_speech_first(fields: dict[str, str | list[str]], upload: Upload) -> None:
    stern = Defaults(vad_filter=False, return_segments=True)

    assert not parse(upload, {}, stern).options.vad_filter
    assert parse(upload, fields, stern).options.vad_filter
    assert not parse(upload, fields | {"vad_filter": "false"}, stern).options.vad_filter


@pytest.mark.parametrize(
    ("fields", "failure", "words"),
    [
        ({"include[]": ["logprobs"]}, UnsupportedOption, ("'include[]'", "logprobs")),
        ({"include[]": ["usage"]}, MalformedRequest, ("'include[]", '"usage"', '"logprobs"')),
        ({"known_speaker_names[]": ["Anna"]}, UnsupportedOption, ("'known_speaker_names[]'", "speakers")),
        ({"known_speaker_references[]": ["data:"]}, UnsupportedOption, ("speakers",)),
        ({"response_format": "diarized_json"}, MalformedRequest, ("'response_format' is \"diarized_json\"",)),
        ({"language": "de", "languages[]": ["de"]}, MalformedRequest, ("'language'", "'languages[]'")),
        ({"languages[]": ["de", "klingon"]}, MalformedRequest, ("'languages[]", '"klingon"')),
        ({"hotwords": "a", "keywords[]": ["b"]}, MalformedRequest, ("'hotwords'", "'keywords[]'")),
        ({"keywords[]": ["x" * 600, "y" * 600]}, MalformedRequest, ("'keywords[]'", "1,202", "1,000")),
        ({"chunking_strategy": "manual"}, MalformedRequest, ("'chunking_strategy' is \"manual\"", '"auto"')),
        ({"chunking_strategy": "[" * 9000}, MalformedRequest, ("'chunking_strategy'",)),
        ({"chunking_strategy": "auto", "chunking_strategy[type]": "server_vad"}, MalformedRequest, ("only one",)),
        ({"chunking_strategy[type]": "client_vad"}, MalformedRequest, ("'chunking_strategy.type' is \"client_vad\"",)),
        ({"chunking_strategy[threshold]": "0.5"}, MalformedRequest, ("'chunking_strategy.type' is missing",)),
        (
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[treshold]": "1"},
            MalformedRequest,
            ("'chunking_strategy.treshold'", "did you mean 'threshold'?"),
        ),
        ({"model": ["a", "b"]}, MalformedRequest, ("'model' 2 times",)),
    ],
)
def test_what_openai_s_fields_cannot_hold_is_refused(
    fields: dict[str, str | list[str]],
    failure: type[TranscriberError],
    words: tuple[str, ...],
    upload: Upload,
    defaults: Defaults,
) -> None:
    with pytest.raises(TranscriberError) as refusal:
        parse(upload, fields, defaults, task=Task.TRANSCRIBE)

    assert type(refusal.value) is failure
    assert [word for word in words if word not in refusal.value.message] == []
    assert refusal.value.message.isprintable()
