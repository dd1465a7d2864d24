from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.foreign import parse
from transcriber.audio.sources import InlineBytes, S3Object, WebAddress
from transcriber.errors import MalformedRequest, NotAudio, TranscriberError, UnsupportedOption
from transcriber.options import DecodingOptions, Dialect, ResponseFormat, Task, TranscriptionOptions
from transcriber.wire import hugging_face
from transcriber.wire.generation import WhisperGenerationFields
from transcriber.wire.job import Answer, Job

B64 = "UklGRg=="


def test_the_shortest_body_is_a_job() -> None:
    assert parse({"inputs": B64}) == Job(
        source=InlineBytes(data=b"RIFF"),
        options=TranscriptionOptions(),
        answer=Answer(format=ResponseFormat.JSON, with_segments=False, with_words=False, dialect=Dialect.HUGGING_FACE),
    )


@given(st.binary(min_size=1))
def test_a_file_comes_back_out_of_base64(data: bytes) -> None:
    text = base64.b64encode(data).decode()

    assert parse({"inputs": text}).source == InlineBytes(data=data)
    assert parse({"inputs": f"data:audio/wav;base64,{text}"}).source == InlineBytes(data=data)


def test_audio_may_be_named_by_an_address() -> None:
    assert parse({"inputs": "https://media.example.com/a.wav?b=c"}).source == WebAddress(
        url="https://media.example.com/a.wav?b=c"
    )
    assert parse({"inputs": "s3://calls/a.wav"}).source == S3Object(bucket="calls", key="a.wav")


@pytest.mark.parametrize(
    ("parameters", "with_segments", "with_words"),
    [
        ({}, False, False),
        ({"return_timestamps": False}, False, False),
        ({"return_timestamps": True}, True, False),
        ({"return_timestamps": "word"}, False, True),
        ({"generate_kwargs": {"return_timestamps": True}}, True, False),
        ({"generate_kwargs": {"return_timestamps": True}, "return_timestamps": "word"}, False, True),
    ],
)
def test_timestamps_choose_the_chunks(parameters: dict[str, object], with_segments: bool, with_words: bool) -> None:
    job = parse({"inputs": B64, "parameters": parameters})

    assert (job.answer.with_segments, job.answer.with_words) == (with_segments, with_words)
    assert job.options.decoding.word_timestamps is with_words


@pytest.mark.parametrize("name", ["generate_kwargs", "generation_parameters"])
@pytest.mark.parametrize("language", ["fr", "french", "<|fr|>"])
def test_every_parameter_is_understood(name: str, language: str) -> None:
    generation = {
        "language": language,
        "task": "translate",
        "num_beams": 2,
        "temperature": [0.0, 0.2],
        "do_sample": None,
        "num_return_sequences": 1,
        "return_timestamps": False,
        "condition_on_prev_tokens": True,
        "compression_ratio_threshold": 1.35,
        "logprob_threshold": -0.5,
        "no_speech_threshold": None,
        "early_stopping": "never",
        "use_cache": True,
        **dict.fromkeys(("max_length", "max_new_tokens", "min_length", "no_repeat_ngram_size", "top_k"), 1),
        **dict.fromkeys(("top_p", "typical_p", "epsilon_cutoff", "eta_cutoff"), 0.5),
        **dict.fromkeys(("min_new_tokens", "num_beam_groups"), 1),
        **dict.fromkeys(("length_penalty", "repetition_penalty", "penalty_alpha"), 1.1),
    }
    parameters = {
        "return_timestamps": True,
        "chunk_length_s": 30,
        "stride_length_s": [4, 2],
        "batch_size": 24,
        "max_new_tokens": 128,
        name: generation,
    }

    assert set(generation) == set(WhisperGenerationFields.model_fields)
    assert set(parameters) | {"generate_kwargs", "generation_parameters"} == set(
        hugging_face.ParameterFields.model_fields
    )
    assert parse({"inputs": B64, "parameters": parameters}).options == TranscriptionOptions(
        language="fr",
        condition_on_previous_text=True,
        decoding=DecodingOptions(
            task=Task.TRANSLATE,
            beam_size=2,
            temperatures=(0.0, 0.2),
            compression_ratio_threshold=1.35,
            log_prob_threshold=-0.5,
            no_speech_threshold=None,
        ),
    )


def test_without_parameters_our_thresholds_hold() -> None:
    assert parse({"inputs": B64, "parameters": {"generate_kwargs": {}}}).options == TranscriptionOptions()
    assert parse({"inputs": B64, "parameters": None}).options == TranscriptionOptions()


@pytest.mark.parametrize(
    ("said", "failure", "words"),
    [
        ({"inputs": "not base64!"}, MalformedRequest, ("'inputs' is not base64",)),
        ({"inputs": ""}, NotAudio, ("'inputs' is empty",)),
        ({"inputs": 5}, MalformedRequest, ("'inputs' is 5", "base64")),
        ({"inputs": [B64]}, MalformedRequest, ("'inputs' is", "base64")),
        ({"inputs": None}, MalformedRequest, ("'inputs'", "base64")),
        ({"inputs": {"sampling_rate": 16000}}, MalformedRequest, ("'inputs'", "'raw'")),
        ({"inputs": "file:///etc/passwd"}, MalformedRequest, ("'inputs' has the scheme 'file'", "https://")),
        ({"inputs": "s3://No_Bucket/a"}, MalformedRequest, ("'inputs' names the bucket",)),
        ({"inputs": B64, "options": {}}, MalformedRequest, ("'options'", "parameters")),
        ({"inputs": B64, "parameters": 5}, MalformedRequest, ("'parameters' is 5", "an object")),
        ({"inputs": B64, "parameters": {"return_timestamps": "char"}}, MalformedRequest, ('"char"', '"word"')),
        (
            {"inputs": B64, "parameters": {"return_timestamp": True}},
            MalformedRequest,
            ("'parameters.return_timestamp'", "did you mean 'return_timestamps'?"),
        ),
        (
            {"inputs": B64, "parameters": {"generate_kwargs": {"language": "klingon"}}},
            MalformedRequest,
            ("'parameters.generate_kwargs.language' is \"klingon\"", "french"),
        ),
        (
            {"inputs": B64, "parameters": {"generate_kwargs": {"num_beam": 1}}},
            MalformedRequest,
            ("'parameters.generate_kwargs.num_beam'", "did you mean 'num_beams'?"),
        ),
        (
            {"inputs": B64, "parameters": {"generate_kwargs": {}, "generation_parameters": {}}},
            MalformedRequest,
            ("'generate_kwargs'", "'generation_parameters'", "only one"),
        ),
        (
            {"inputs": B64, "parameters": {"generation_parameters": {"num_return_sequences": 3}}},
            UnsupportedOption,
            ("'parameters.generation_parameters.num_return_sequences' is 3",),
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
