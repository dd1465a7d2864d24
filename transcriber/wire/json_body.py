"""A JSON body -> a job: our own dialect, and the door to the others."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from transcriber.audio.sources import Source
from transcriber.errors import MalformedRequest
from transcriber.wire import dialects, inline_audio, json_object, s3_uri
from transcriber.wire.fields import OptionFields, Text, job_of, validated
from transcriber.wire.job import Defaults, Job


class JsonFields(OptionFields):
    """The body of a request: where the audio is, and the options."""

    model_config = ConfigDict(
        title="TranscriptionRequest",
        json_schema_extra={"oneOf": [{"required": ["s3_uri"]}, {"required": ["audio_b64"]}]},
    )

    s3_uri: Text | None = Field(default=None, description="the address of an object, s3://bucket/key")
    audio_b64: str | None = Field(default=None, description="a string: the bytes of an audio file in base64")
    audio_suffix: Annotated[str, Field(pattern=r"^\.?[A-Za-z0-9]{1,10}$")] | None = Field(
        default=None, description='a suffix of 1 to 10 letters or digits, such as ".wav" or "wav"'
    )


def parse(body: bytes, *, defaults: Defaults, accept: str | None) -> Job:
    """Understand a JSON body.

    Args:
        body: The whole body.
        defaults: What holds where the caller says nothing.
        accept: The Accept header; heeded when the body is in our own dialect and has no `response_format`.

    Raises:
        MalformedRequest: The body is no JSON object in UTF-8, a field is unknown or ill-formed, or there is not exactly
            one source.
        TooLarge: The body holds more values than are read.
        NotAudio: The source holds no bytes.
        UnsupportedOption: A stream was asked for in a form that is not streamed.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    given = json_object.read(body)
    parse_foreign = dialects.parser_for(given)
    if parse_foreign is not None:
        return parse_foreign(given, defaults=defaults)
    fields = validated(JsonFields, given)
    return job_of(fields, source=_source(fields), accept=accept, defaults=defaults)


def _source(fields: JsonFields) -> Source:
    match fields.s3_uri, fields.audio_b64:
        case None, None:
            raise MalformedRequest("the body names no audio: give either 's3_uri' or 'audio_b64'")
        case str(uri), None:
            return s3_uri.parse(uri)
        case None, str(text):
            return inline_audio.decode(text)
        case _:
            raise MalformedRequest("the body has both 's3_uri' and 'audio_b64': give only one of them")
