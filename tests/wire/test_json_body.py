from __future__ import annotations

import json

import pytest

from transcriber.audio.sources import InlineBytes, S3Object
from transcriber.options import LADDER, DecodingOptions, Dialect, ResponseFormat, Task, TranscriptionOptions
from transcriber.wire import json_body
from transcriber.wire.job import Answer, Defaults, Job
from transcriber.wire.schemas import schema_of

SOURCE = {"s3_uri": "s3://calls/monday.wav"}


def parse(fields: dict[str, object], defaults: Defaults, *, accept: str | None = None) -> Job:
    return json_body.parse(json.dumps(SOURCE | fields).encode(), defaults=defaults, accept=accept)


def test_the_shortest_body_is_a_job(defaults: Defaults) -> None:
    assert parse({}, defaults) == Job(
        source=S3Object(bucket="calls", key="monday.wav"),
        options=TranscriptionOptions(),
        answer=Answer(format=ResponseFormat.JSON, with_segments=True, with_words=False),
    )


def test_every_field_reaches_the_job(defaults: Defaults) -> None:
    body = {
        "audio_b64": "UklGRg==",
        "audio_suffix": ".wav",
        "task": "translate",
        "language": "German",
        "beam_size": 1,
        "vad_filter": False,
        "return_segments": False,
        "word_timestamps": True,
        "initial_prompt": "Minutes.",
        "hotwords": "Siobhán",
        "temperature": [0, 0.5],
        "condition_on_previous_text": True,
        "compression_ratio_threshold": 2,
        "log_prob_threshold": -0.5,
        "no_speech_threshold": 0.5,
        "response_format": "verbose_json",
        "stream": False,
    }

    assert set(body) | {"s3_uri"} == set(json_body.JsonFields.model_fields)
    assert json_body.parse(json.dumps(body).encode(), defaults=defaults, accept=None) == Job(
        source=InlineBytes(data=b"RIFF"),
        options=TranscriptionOptions(
            language="de",
            vad_filter=False,
            condition_on_previous_text=True,
            decoding=DecodingOptions(
                task=Task.TRANSLATE,
                beam_size=1,
                temperatures=(0.0, 0.5),
                initial_prompt="Minutes.",
                hotwords="Siobhán",
                word_timestamps=True,
                compression_ratio_threshold=2.0,
                log_prob_threshold=-0.5,
                no_speech_threshold=0.5,
            ),
        ),
        answer=Answer(format=ResponseFormat.VERBOSE_JSON, with_segments=False, with_words=True),
    )


def test_null_is_the_same_as_nothing(defaults: Defaults) -> None:
    names = set(json_body.JsonFields.model_fields) - {"s3_uri"}
    nulls: dict[str, object] = {name: None for name in names if not name.endswith("_threshold")}

    assert parse(nulls, defaults) == parse({}, defaults)


def test_a_threshold_of_null_switches_its_rule_off(defaults: Defaults) -> None:
    job = parse({"log_prob_threshold": None, "no_speech_threshold": None}, defaults)

    assert job.options.decoding == DecodingOptions(log_prob_threshold=None, no_speech_threshold=None)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("german", "de"),
        (" German ", "de"),
        ("Haitian Creole", "ht"),
        ("auto", None),
        ("Auto", None),
    ],
)
def test_languages_go_by_code_or_english_name(language: str, code: str | None, defaults: Defaults) -> None:
    assert parse({"language": language}, defaults).options.language == code


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(None, LADDER), (0, (0.0,)), (0.4, (0.4,)), ([0], (0.0,)), ([0, 0.2, 1], (0.0, 0.2, 1.0))],
)
def test_one_temperature_is_tried_without_fallback(
    temperature: object, expected: tuple[float, ...], defaults: Defaults
) -> None:
    assert parse({"temperature": temperature}, defaults).options.decoding.temperatures == expected


@pytest.mark.parametrize("name", ["initial_prompt", "hotwords"])
def test_an_empty_text_is_none(name: str, defaults: Defaults) -> None:
    assert parse({name: ""}, defaults).options == TranscriptionOptions()


def test_the_operator_decides_for_callers_who_say_nothing() -> None:
    stern = Defaults(vad_filter=False, return_segments=False)

    job = parse({}, stern)

    assert not job.options.vad_filter
    assert not job.answer.with_segments
    assert parse({"vad_filter": True, "return_segments": True}, stern).answer.with_segments
    assert parse({"vad_filter": True}, stern).options.vad_filter


def test_verbose_json_has_segments_unless_the_caller_does_not_want_them() -> None:
    stern = Defaults(vad_filter=True, return_segments=False)

    assert parse({"response_format": "verbose_json"}, stern).answer.with_segments
    assert not parse({"response_format": "verbose_json", "return_segments": False}, stern).answer.with_segments


def test_the_body_says_more_than_the_accept_header(defaults: Defaults) -> None:
    assert parse({}, defaults, accept="text/vtt").answer.format is ResponseFormat.VTT
    assert parse({"response_format": "srt"}, defaults, accept="text/vtt").answer.format is ResponseFormat.SRT
    assert parse({"response_format": "srt"}, defaults, accept="image/png").answer.format is ResponseFormat.SRT


def test_a_byte_order_mark_is_skipped(defaults: Defaults) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(SOURCE).encode()

    assert json_body.parse(body, defaults=defaults, accept=None) == parse({}, defaults)


def test_the_schema_says_what_every_field_accepts() -> None:
    schema = schema_of(Dialect.OWN)

    assert schema["additionalProperties"] is False
    assert schema["oneOf"] == [{"required": ["s3_uri"]}, {"required": ["audio_b64"]}]
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == set(json_body.JsonFields.model_fields)
    assert all(field["description"] for field in properties.values())
    assert properties["beam_size"]["default"] == DecodingOptions().beam_size
    json.dumps(schema)
