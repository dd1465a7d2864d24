"""Two dialects that take audio alike."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.foreign import parse
from transcriber.audio.sources import InlineBytes, S3Object, WebAddress
from transcriber.errors import MalformedRequest, NotAudio, TranscriberError
from transcriber.options import LADDER, DecodingOptions, Dialect, ResponseFormat, TranscriptionOptions
from transcriber.wire.job import Answer, Job

B64 = "UklGRg=="
Body = Callable[[object], dict[str, object]]


def voxtral(audio: object, **said: object) -> dict[str, object]:
    return {"transcription": {"audio": audio, **said}}


def parakeet(audio: object, **said: object) -> dict[str, object]:
    return {"audio": audio, **said}


BOTH = pytest.mark.parametrize(("body", "field"), [(voxtral, "transcription.audio"), (parakeet, "audio")])


def test_voxtral_s_payload_is_a_job() -> None:
    assert parse(voxtral({"data": B64}, language="en", temperature=0.0, model="voxtral-mini")) == Job(
        source=InlineBytes(data=b"RIFF"),
        options=TranscriptionOptions(language="en", decoding=DecodingOptions(temperatures=(0.0,))),
        answer=Answer(format=ResponseFormat.JSON, with_segments=False, with_words=False, dialect=Dialect.VOXTRAL),
    )
    assert parse(voxtral(B64)).options.decoding.temperatures == LADDER


@pytest.mark.parametrize("timestamps", [False, True])
def test_parakeet_s_payload_is_a_job(timestamps: bool) -> None:
    assert parse(parakeet({"data": B64}, timestamps=timestamps, language="en")) == Job(
        source=InlineBytes(data=b"RIFF"),
        options=TranscriptionOptions(language="en", decoding=DecodingOptions(word_timestamps=timestamps)),
        answer=Answer(
            format=ResponseFormat.JSON, with_segments=timestamps, with_words=timestamps, dialect=Dialect.PARAKEET
        ),
    )


@BOTH
@given(data=st.binary(min_size=1))
def test_a_file_comes_back_out_of_base64(body: Body, field: str, data: bytes) -> None:
    text = base64.b64encode(data).decode()

    for audio in (text, {"data": text}, f"data:audio/wav;base64,{text}", {"data": f"data:audio/wav;base64,{text}"}):
        assert parse(body(audio)).source == InlineBytes(data=data)


@BOTH
def test_audio_may_be_named_by_an_address(body: Body, field: str) -> None:
    for audio in ("https://a.net/b.wav", {"path": "https://a.net/b.wav"}):
        assert parse(body(audio)).source == WebAddress(url="https://a.net/b.wav")
    assert parse(body({"path": "s3://calls/a.wav"})).source == S3Object(bucket="calls", key="a.wav")


@BOTH
@pytest.mark.parametrize(
    ("audio", "failure", "words"),
    [
        (7, MalformedRequest, ("'FIELD' is 7", "base64", "https://")),
        (None, MalformedRequest, ("'FIELD'", "base64")),
        ([], MalformedRequest, ("'FIELD' is []",)),
        ("", NotAudio, ("'FIELD' is empty",)),
        ("/opt/ml/a.wav", MalformedRequest, ("'FIELD' is not base64",)),
        ("data:audio/wav,RIFF", MalformedRequest, ("'FIELD'", "data:audio/<type>;base64,")),
        ("gopher://a.net/b", MalformedRequest, ("'FIELD' has the scheme 'gopher'",)),
        ({}, MalformedRequest, ("'FIELD'", "either 'data' or 'path'")),
        ({"data": B64, "path": "https://a.net"}, MalformedRequest, ("'FIELD'", "only one")),
        ({"data": 5}, MalformedRequest, ("'FIELD.data' is 5", "base64")),
        ({"data": "%"}, MalformedRequest, ("'FIELD.data' is not base64",)),
        ({"data": ""}, NotAudio, ("'FIELD.data' is empty",)),
        ({"path": "/etc/passwd"}, MalformedRequest, ("'FIELD.path' is no address", "no file of the container")),
        ({"path": "file:///etc/passwd"}, MalformedRequest, ("'FIELD.path' has the scheme 'file'",)),
        ({"date": B64}, MalformedRequest, ("'FIELD.date'", "did you mean 'data'?")),
    ],
)
def test_what_is_no_audio_is_refused(
    body: Body, field: str, audio: object, failure: type[TranscriberError], words: tuple[str, ...]
) -> None:
    with pytest.raises(TranscriberError) as refusal:
        parse(body(audio))

    assert type(refusal.value) is failure
    assert [word for word in words if word.replace("FIELD", field) not in refusal.value.message] == []
    assert refusal.value.message.isprintable()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"transcription": 5}, ("'transcription' is 5", "'audio'")),
        ({"transcription": {}}, ("'transcription.audio' is missing", "base64")),
        (voxtral(B64, language="klingon"), ("'transcription.language' is \"klingon\"",)),
        (voxtral(B64, temperature=3), ("'transcription.temperature' is 3", "0 to 1")),
        (voxtral(B64, temperature=[0, 0.5]), ("'transcription.temperature' is [0, 0.5]",)),
        (voxtral(B64, temprature=0), ("'transcription.temprature'", "did you mean 'temperature'?")),
        ({**voxtral(B64), "language": "en"}, ("'language'", "transcription")),
        (parakeet(B64, timestamps="yes"), ("'timestamps' is \"yes\"", "true or false")),
        (parakeet(B64, timestamps=1), ("'timestamps' is 1",)),
        (parakeet(B64, language=7), ("'language' is 7",)),
        (parakeet(B64, task="translate"), ("'task'", "audio, language, timestamps")),
    ],
)
def test_a_wrong_field_is_named_in_full(said: object, words: tuple[str, ...]) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        parse(said)

    assert [word for word in words if word not in refusal.value.message] == []
