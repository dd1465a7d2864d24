from __future__ import annotations

import pytest

from transcriber.audio.sources import Upload
from transcriber.options import LADDER, DecodingOptions, ResponseFormat, TranscriptionOptions
from transcriber.wire import form
from transcriber.wire.job import Answer, Defaults, Job


def parse(upload: Upload, fields: dict[str, str | list[str]], defaults: Defaults, *, accept: str | None = None) -> Job:
    values = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return form.parse(upload, values, accept=accept, defaults=defaults)


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
        answer=Answer(format=ResponseFormat.VERBOSE_JSON, with_segments=True, with_words=True),
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
