from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.foreign import parse
from transcriber.audio.sources import InlineBytes
from transcriber.errors import MalformedRequest, NotAudio, TranscriberError, UnsupportedOption
from transcriber.options import LADDER, DecodingOptions, Dialect, ResponseFormat, Task, TranscriptionOptions
from transcriber.wire import jumpstart
from transcriber.wire.generation import GenerationFields
from transcriber.wire.job import Answer, Job

HEX = b"RIFF".hex()


def test_the_shortest_body_is_a_job() -> None:
    assert parse({"audio_input": HEX}) == Job(
        source=InlineBytes(data=b"RIFF"),
        options=TranscriptionOptions(),
        answer=Answer(format=ResponseFormat.JSON, with_segments=False, with_words=False, dialect=Dialect.JUMPSTART),
    )


@given(st.binary(min_size=1))
def test_a_file_comes_back_out_of_its_digits(data: bytes) -> None:
    assert parse({"audio_input": data.hex()}).source == InlineBytes(data=data)
    assert parse({"audio_input": data.hex().upper()}).source == InlineBytes(data=data)


def test_every_parameter_is_understood() -> None:
    said = {
        "audio_input": HEX,
        "language": "french",
        "task": "translate",
        "num_beams": 3,
        "temperature": 0.4,
        "do_sample": True,
        "num_return_sequences": 1,
        "max_length": 448,
        "max_new_tokens": 200,
        "min_length": 0,
        "no_repeat_ngram_size": 3,
        "early_stopping": True,
        "top_k": 50,
        "top_p": 0.9,
    }

    assert set(said) == {"audio_input", *GenerationFields.model_fields}
    assert parse(said).options == TranscriptionOptions(
        language="fr", decoding=DecodingOptions(task=Task.TRANSLATE, beam_size=3, temperatures=(0.4,))
    )


@pytest.mark.parametrize(
    ("said", "temperatures"),
    [
        ({}, LADDER),
        ({"temperature": 0}, (0.0,)),
        ({"temperature": [0, 0.4]}, (0.0, 0.4)),
        ({"do_sample": True}, (1.0,)),
        ({"do_sample": True, "temperature": 0.2}, (0.2,)),
        ({"do_sample": False}, (0.0,)),
        ({"do_sample": False, "temperature": 0.9}, (0.0,)),
        ({"do_sample": None, "temperature": None}, LADDER),
    ],
)
def test_sampling_needs_a_temperature(said: dict[str, object], temperatures: tuple[float, ...]) -> None:
    assert parse({"audio_input": HEX, **said}).options.decoding.temperatures == temperatures


def test_accept_does_not_change_the_shape() -> None:
    assert parse({"audio_input": HEX}, accept="application/json;verbose") == parse({"audio_input": HEX})
    assert parse({"audio_input": HEX}, accept="text/vtt") == parse({"audio_input": HEX})


@pytest.mark.parametrize(
    ("said", "failure", "words"),
    [
        ({"audio_input": "52494"}, MalformedRequest, ("'audio_input'", "5 characters", "two digits each")),
        ({"audio_input": "UklGRg=="}, MalformedRequest, ("'audio_input'", "character 1 is 'U'", "0 to 9 and a to f")),
        ({"audio_input": "5249é6"}, MalformedRequest, ("'audio_input'", "character 5")),
        ({"audio_input": "\ud800\ud800"}, MalformedRequest, ("'audio_input'", "character 1")),
        ({"audio_input": "5 2"}, MalformedRequest, ("'audio_input'", "two digits each")),
        ({"audio_input": ""}, NotAudio, ("'audio_input' is empty",)),
        ({"audio_input": 7}, MalformedRequest, ("'audio_input' is 7", "hexadecimal")),
        ({"audio_input": None}, MalformedRequest, ("'audio_input'", "hexadecimal")),
        ({"audio_input": HEX, "language": "klingon"}, MalformedRequest, ("'language' is \"klingon\"", "french")),
        ({"audio_input": HEX, "num_beams": 99}, MalformedRequest, ("'num_beams' is 99", "1 to 10")),
        ({"audio_input": HEX, "top_p": "high"}, MalformedRequest, ("'top_p' is \"high\"", "0 to 1")),
        ({"audio_input": HEX, "early_stopping": "soon"}, MalformedRequest, ("'early_stopping' is \"soon\"",)),
        ({"audio_input": HEX, "num_beam": 2}, MalformedRequest, ("'num_beam'", "did you mean 'num_beams'?")),
        ({"audio_input": HEX, "beam_size": 2}, MalformedRequest, ("'beam_size'", "num_beams")),
        ({"audio_input": HEX, "num_return_sequences": 2}, UnsupportedOption, ("'num_return_sequences' is 2", "one")),
        (
            {"audio_input": HEX, "do_sample": True, "temperature": 0},
            MalformedRequest,
            ("'do_sample' is true", "'temperature' is 0"),
        ),
    ],
)
def test_bad_input_gets_one_sentence(
    said: dict[str, object], failure: type[TranscriberError], words: tuple[str, ...]
) -> None:
    with pytest.raises(TranscriberError) as refusal:
        parse(said)

    assert type(refusal.value) is failure
    assert [word for word in words if word not in refusal.value.message] == []
    assert refusal.value.message.isprintable()


def test_the_schema_knows_every_field() -> None:
    schema = jumpstart.JumpStartFields.model_json_schema()

    assert set(schema["properties"]) == {"audio_input", *GenerationFields.model_fields}
    assert schema["required"] == ["audio_input"]
    assert schema["additionalProperties"] is False
