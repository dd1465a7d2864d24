"""What strangers may send: refused with the right failure, in one sentence that names the field."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.sources import Upload
from transcriber.errors import MalformedRequest, NotAudio, TranscriberError, UnacceptableFormat, UnsupportedOption
from transcriber.wire import form, json_body, raw_body
from transcriber.wire.job import Defaults, Job

DEFAULTS = Defaults(vad_filter=True, return_segments=True)
UPLOAD = Upload(file=io.BytesIO(b"RIFF"), size_bytes=4)
EMPTY = Upload(file=io.BytesIO(), size_bytes=0)
AUDIO = {"audio_b64": "UklGRg=="}

Sent = Callable[[], Job]


def body(raw: bytes | str) -> Sent:
    return lambda: json_body.parse(raw if isinstance(raw, bytes) else raw.encode(), defaults=DEFAULTS, accept=None)


def fields(accept: str | None = None, **given_fields: object) -> Sent:
    raw = json.dumps(AUDIO | given_fields).encode()
    return lambda: json_body.parse(raw, defaults=DEFAULTS, accept=accept)


def attributes(text: str, upload: Upload = UPLOAD, accept: str | None = None) -> Sent:
    return lambda: raw_body.parse(upload, attributes=text, accept=accept, defaults=DEFAULTS)


def posted(upload: Upload = UPLOAD, **given_fields: str | list[str]) -> Sent:
    values = {name: value if isinstance(value, list) else [value] for name, value in given_fields.items()}
    return lambda: form.parse(upload, values, accept=None, defaults=DEFAULTS)


def granularities(*values: str, **given_fields: str) -> Sent:
    return posted(**{form.GRANULARITIES: list(values)}, **given_fields)


def parts(**names: int) -> Sent:
    def choose() -> Job:
        raise AssertionError(form.file_part(names))

    return choose


BAD: list[tuple[str, Sent, type[TranscriberError], tuple[str, ...]]] = [
    # The body as a whole.
    ("empty body", body(""), MalformedRequest, ("body is empty", "s3_uri")),
    ("blank body", body(" \r\n"), MalformedRequest, ("body is empty",)),
    ("not UTF-8", body(b'{"s3_uri": "\xff"}'), MalformedRequest, ("UTF-8", "byte 12")),
    ("UTF-16", body('{"s3_uri": ""}'.encode("utf-16")), MalformedRequest, ("UTF-8",)),
    ("not JSON", body("audio"), MalformedRequest, ("not JSON", "line 1")),
    ("cut short", body('{"s3_uri": "s3:'), MalformedRequest, ("not JSON",)),
    ("two objects", body("{} {}"), MalformedRequest, ("not JSON", "extra data")),
    ("a list", body('["s3://b/k"]'), MalformedRequest, ("JSON object", '["s3://b/k"]')),
    ("a string", body('"s3://b/k"'), MalformedRequest, ("JSON object", '"s3://b/k"')),
    ("null", body("null"), MalformedRequest, ("JSON object", "null")),
    (
        "a field twice",
        body('{"s3_uri": "s3://calls/a", "s3_uri": "s3://calls/b"}'),
        MalformedRequest,
        ("s3_uri", "once"),
    ),
    ("NaN", body('{"temperature": NaN}'), MalformedRequest, ("NaN",)),
    ("Infinity", body('{"temperature": -Infinity}'), MalformedRequest, ("-Infinity",)),
    ("a deep nest", body("[" * 100_000), MalformedRequest, ("nested too deeply",)),
    ("a deep nest in a field", body('{"task": ' * 100_000), MalformedRequest, ("nested too deeply",)),
    ("a number of 5,000 digits", body('{"beam_size": ' + "9" * 5000 + "}"), MalformedRequest, ("digits",)),
    ("half a surrogate pair as a name", body('{"\\ud800": 1}'), MalformedRequest, ("name", "Unicode")),
    # The source.
    ("no source", body("{}"), MalformedRequest, ("'s3_uri'", "'audio_b64'", "no audio")),
    ("two sources", fields(s3_uri="s3://calls/a"), MalformedRequest, ("'s3_uri'", "'audio_b64'", "only one")),
    ("null sources", fields(s3_uri=None, audio_b64=None), MalformedRequest, ("no audio",)),
    (
        "an address that is a number",
        fields(audio_b64=None, s3_uri=7),
        MalformedRequest,
        ("'s3_uri' is 7", "s3://bucket/key"),
    ),
    (
        "an address of the web",
        fields(audio_b64=None, s3_uri="https://a/b"),
        MalformedRequest,
        ("'s3_uri'", "s3://bucket/key"),
    ),
    (
        "a bucket that is none",
        fields(audio_b64=None, s3_uri="s3://My_Calls/a"),
        MalformedRequest,
        ("'s3_uri'", "My_Calls"),
    ),
    ("no key", fields(audio_b64=None, s3_uri="s3://calls/"), MalformedRequest, ("'s3_uri'", "no key")),
    ("base64 that is not", fields(audio_b64="not base64!"), MalformedRequest, ("'audio_b64'", "not base64")),
    ("base64 without padding", fields(audio_b64="UklGRg"), MalformedRequest, ("'audio_b64'", "padded")),
    ("base64 of nothing", fields(audio_b64=""), NotAudio, ("'audio_b64'", "empty")),
    ("base64 that is a list", fields(audio_b64=[82, 73]), MalformedRequest, ("'audio_b64' is [82, 73]", "base64")),
    ("a suffix with a slash", fields(audio_suffix="../../etc/wav"), MalformedRequest, ("'audio_suffix'", '".wav"')),
    ("a suffix with a line break", fields(audio_suffix=".wav\n"), MalformedRequest, ("'audio_suffix'",)),
    ("an empty suffix", fields(audio_suffix=""), MalformedRequest, ("'audio_suffix' is \"\"",)),
    # Wrong types and numbers out of range.
    (
        "many beams",
        fields(beam_size="many"),
        MalformedRequest,
        ("'beam_size' is \"many\"", "whole number from 1 to 10"),
    ),
    ("beams as text", fields(beam_size="5"), MalformedRequest, ("'beam_size' is \"5\"",)),
    ("beams with a point", fields(beam_size=3.0), MalformedRequest, ("'beam_size' is 3.0", "whole number")),
    ("beams that are true", fields(beam_size=True), MalformedRequest, ("'beam_size' is true", "whole number")),
    ("no beams", fields(beam_size=0), MalformedRequest, ("'beam_size' is 0",)),
    ("eleven beams", fields(beam_size=11), MalformedRequest, ("'beam_size' is 11",)),
    ("a boolean as text", fields(vad_filter="false"), MalformedRequest, ("'vad_filter' is \"false\"", "true or false")),
    ("a boolean as a number", fields(return_segments=1), MalformedRequest, ("'return_segments' is 1", "true or false")),
    ("words as text", fields(word_timestamps="yes"), MalformedRequest, ("'word_timestamps' is \"yes\"",)),
    (
        "a prompt that is a list",
        fields(initial_prompt=["a"]),
        MalformedRequest,
        ("'initial_prompt' is [\"a\"]", "string"),
    ),
    ("a prompt too long", fields(initial_prompt="x" * 1001), MalformedRequest, ("'initial_prompt'", "1,000", "…")),
    ("hotwords too long", fields(hotwords="é" * 1001), MalformedRequest, ("'hotwords'", "1,000")),
    ("half a surrogate pair", fields(hotwords="\ud800"), MalformedRequest, ("'hotwords'", "surrogate")),
    (
        "a separator of lines",
        fields(vad_filter="a\u2028b"),
        MalformedRequest,
        ("'vad_filter' is \"a\\u2028b\"", "true or false"),
    ),
    ("a high temperature", fields(temperature=1.5), MalformedRequest, ("'temperature' is 1.5", "0 to 1")),
    ("no temperatures", fields(temperature=[]), MalformedRequest, ("'temperature' is []",)),
    (
        "temperatures that fall",
        fields(temperature=[0.4, 0.2]),
        MalformedRequest,
        ("'temperature' is [0.4, 0.2]", "ascend"),
    ),
    (
        "a ladder of eleven",
        fields(temperature=[i / 11 for i in range(11)]),
        MalformedRequest,
        ("'temperature' is a list of 11",),
    ),
    ("a temperature of true", fields(temperature=True), MalformedRequest, ("'temperature' is true",)),
    ("a number beyond floats", body('{"temperature": 1e999}'), MalformedRequest, ("'temperature'",)),
    ("a ratio of 0", fields(compression_ratio_threshold=0), MalformedRequest, ("'compression_ratio_threshold' is 0",)),
    ("a positive log", fields(log_prob_threshold=1), MalformedRequest, ("'log_prob_threshold' is 1",)),
    ("a probability of 2", fields(no_speech_threshold=2), MalformedRequest, ("'no_speech_threshold' is 2", "0 to 1")),
    (
        "context as an object",
        fields(condition_on_previous_text={}),
        MalformedRequest,
        ("'condition_on_previous_text' is an object",),
    ),
    # Choices that do not exist.
    ("an unknown task", fields(task="summarize"), MalformedRequest, ("'task' is \"summarize\"", '"translate"')),
    (
        "an unknown language",
        fields(language="klingon"),
        MalformedRequest,
        ("'language' is \"klingon\"", "docs/http.md"),
    ),
    (
        "a misspelt language",
        fields(language="Germn"),
        MalformedRequest,
        ("'language' is \"Germn\"", 'did you mean "german"?'),
    ),
    ("a language of a country", fields(language="en-US"), MalformedRequest, ("'language' is \"en-US\"",)),
    ("an empty language", fields(language=""), MalformedRequest, ("'language' is \"\"",)),
    ("an unknown form", fields(response_format="tsv"), MalformedRequest, ("'response_format' is \"tsv\"", '"vtt"')),
    ("an unknown field", fields(colour="red"), MalformedRequest, ("'colour'", "beam_size")),
    ("an unknown field of null", fields(colour=None), MalformedRequest, ("'colour'",)),
    ("a misspelt field", fields(beamsize=5), MalformedRequest, ("'beamsize'", "did you mean 'beam_size'?")),
    ("two faults", fields(beam_size="many", vad_filter="no"), MalformedRequest, ("'beam_size'", "; 'vad_filter'")),
    (
        "a stream of subtitles",
        fields(stream=True, response_format="srt"),
        UnsupportedOption,
        ("'stream'", "'response_format' is \"srt\"", '"json"'),
    ),
    (
        "a stream and none",
        fields(stream=False, accept="text/event-stream"),
        MalformedRequest,
        ("Accept", "'stream' is false"),
    ),
    ("a stream as text", fields(stream="true"), MalformedRequest, ("'stream' is \"true\"",)),
    ("a picture", fields(accept="image/png"), UnacceptableFormat, ("'image/png'", "application/json")),
    # Raw bytes.
    ("no bytes", attributes("", EMPTY), NotAudio, ("body is empty",)),
    ("raw: beams as text", attributes("beam_size=many"), MalformedRequest, ("'beam_size' is \"many\"", "1 to 10")),
    ("raw: beams with a point", attributes("beam_size=3.0"), MalformedRequest, ("'beam_size' is 3.0",)),
    ("raw: a boolean as a number", attributes("vad_filter=1"), MalformedRequest, ("'vad_filter' is 1",)),
    ("raw: no number", attributes("temperature=nan"), MalformedRequest, ("'temperature' is \"nan\"",)),
    ("raw: an unknown name", attributes("colour=red"), MalformedRequest, ("'colour'", "beam_size")),
    ("raw: a misspelt name", attributes("langage=fr"), MalformedRequest, ("'langage'", "'language'")),
    ("raw: a name in capitals", attributes("Language=fr"), MalformedRequest, ("'Language'", "'language'")),
    ("raw: a hyphen", attributes("vad-filter=true"), MalformedRequest, ("'vad-filter'", "'vad_filter'")),
    ("raw: a name alone", attributes("Root=1;vad_filter"), MalformedRequest, ("'vad_filter'", "without a value")),
    ("raw: an empty value", attributes("language="), MalformedRequest, ("'language' is \"\"",)),
    ("raw: a name twice", attributes("language=fr;language=de"), MalformedRequest, ("'language'", "once")),
    ("raw: a source", attributes("s3_uri=s3://calls/a"), MalformedRequest, ("'s3_uri'",)),
    ("raw: a lone percent", attributes("initial_prompt=100%"), MalformedRequest, ("'initial_prompt'", "%25")),
    ("raw: not UTF-8", attributes("initial_prompt=%FF"), MalformedRequest, ("'initial_prompt'", "UTF-8")),
    ("raw: beyond ASCII", attributes("initial_prompt=é"), MalformedRequest, ("Custom-Attributes", "ASCII")),
    ("raw: too long", attributes("x" * 1025), MalformedRequest, ("Custom-Attributes", "1025", "1024")),
    (
        "raw: a stream of text",
        attributes("stream=true;response_format=text"),
        UnsupportedOption,
        ("'stream'", "'response_format' is \"text\""),
    ),
    # Forms.
    ("form: no bytes", posted(EMPTY), NotAudio, ("empty",)),
    ("form: no file", parts(), MalformedRequest, ("no audio", "'file'")),
    ("form: another name", parts(audio=1), MalformedRequest, ('"audio"', "'file'")),
    ("form: two files", parts(file=2), MalformedRequest, ("2 files", "'file'")),
    ("form: file and content", parts(file=1, content=1), MalformedRequest, ("2 files",)),
    (
        "form: an unknown field",
        posted(diarize="true"),
        MalformedRequest,
        ("'diarize'", "beam_size"),
    ),
    ("form: a misspelt field", posted(promt="Hello"), MalformedRequest, ("'promt'", "did you mean 'prompt'?")),
    ("form: beams as text", posted(beam_size="many"), MalformedRequest, ("'beam_size' is \"many\"",)),
    ("form: a boolean as a number", posted(vad_filter="0"), MalformedRequest, ("'vad_filter' is 0",)),
    ("form: a high temperature", posted(temperature="2"), MalformedRequest, ("'temperature' is 2",)),
    ("form: a temperature of false", posted(temperature="false"), MalformedRequest, ("'temperature' is false",)),
    ("form: a long prompt", posted(prompt="x" * 1001), MalformedRequest, ("'prompt'", "1,000")),
    ("form: two prompts", posted(prompt="a", initial_prompt="b"), MalformedRequest, ("'prompt'", "'initial_prompt'")),
    ("form: a field twice", posted(language=["de", "fr"]), MalformedRequest, ("'language'", "2 times")),
    ("form: a field without values", posted(language=[]), MalformedRequest, ("'language'", "0 times")),
    (
        "form: an unknown form",
        posted(response_format="diarized_json"),
        MalformedRequest,
        ("'response_format'", '"verbose_json"'),
    ),
    ("form: an unknown granularity", granularities("char"), MalformedRequest, (form.GRANULARITIES, '"char"', '"word"')),
    (
        "form: words in json",
        granularities("word", response_format="json"),
        MalformedRequest,
        (form.GRANULARITIES, "verbose_json"),
    ),
    (
        "form: a stream of captions",
        posted(stream="true", response_format="vtt"),
        UnsupportedOption,
        ("'stream'", "'response_format' is \"vtt\""),
    ),
]


@pytest.mark.parametrize(("sent", "failure", "words"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_bad_input_gets_one_sentence(sent: Sent, failure: type[TranscriberError], words: tuple[str, ...]) -> None:
    with pytest.raises(TranscriberError) as refusal:
        sent()

    message = refusal.value.message
    assert type(refusal.value) is failure
    assert [word for word in words if word not in message] == []
    assert message.isprintable()
    assert len(message.encode()) < 2048


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.characters(categories=["Cs"])
    | st.sampled_from(["", "auto", "de", "json", "s3://calls/a", "UklGRg==", "data:audio/wav;base64,UklGRg=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(json_body.JsonFields.model_fields))
FORM_NAMES = st.sampled_from(
    sorted(
        {*json_body.JsonFields.model_fields, "prompt", "model", *form.LISTS, form.STRATEGY, f"{form.STRATEGY}[type]"}
    )
)
TEXTS = st.text(max_size=20) | st.sampled_from(
    ["true", "0", "1e999", "null", "0,1", "[" * 9000, "9" * 5000, "word", "de"]
)


def is_a_job_or_a_sentence(sent: Sent) -> None:
    try:
        job, sentence = sent(), None
    except TranscriberError as refusal:
        job, sentence = None, refusal.message

    assert isinstance(job, Job) or (sentence is not None and "\n" not in sentence and len(sentence.encode()) < 2048)


@given(st.dictionaries(NAMES | st.text(max_size=10) | st.characters(categories=["Cs"]), JSON_VALUES, max_size=4))
def test_no_json_value_breaks_the_parser(given_fields: dict[str, Any]) -> None:
    is_a_job_or_a_sentence(body(json.dumps(given_fields)))


@given(NAMES, JSON_VALUES)
def test_no_json_value_breaks_a_field(name: str, value: Any) -> None:
    is_a_job_or_a_sentence(body(json.dumps({**AUDIO, name: value})))


@given(st.binary(max_size=50) | st.text(alphabet='{}[]":,\\u0de8 1e-', max_size=50).map(str.encode))
def test_no_bytes_break_the_parser(raw: bytes) -> None:
    is_a_job_or_a_sentence(body(raw))


@given(st.lists(st.tuples(NAMES | st.text(max_size=10), st.sampled_from(["=", "", "==", "=%"]), TEXTS)))
def test_no_attributes_break_the_parser(pieces: list[tuple[str, str, str]]) -> None:
    is_a_job_or_a_sentence(attributes(";".join("".join(piece) for piece in pieces)))


@given(st.dictionaries(FORM_NAMES | st.text(max_size=10), st.lists(TEXTS, max_size=2), max_size=4))
def test_no_fields_break_the_form(given_fields: dict[str, list[str]]) -> None:
    is_a_job_or_a_sentence(lambda: form.parse(UPLOAD, given_fields, accept=None, defaults=DEFAULTS))
