"""The dialect of JumpStart's Whisper containers: `audio_input`, and the parameters of `generate` beside it.

Source: `automatic-speech-recognition.ipynb` of aws/amazon-sagemaker-examples, and callers of
`huggingface-asr-whisper-large-v3-turbo`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from transcriber.audio.sources import InlineBytes
from transcriber.errors import MalformedRequest
from transcriber.options import Dialect
from transcriber.wire import inline_audio, samples
from transcriber.wire.fields import job_in, shown, validated
from transcriber.wire.generation import GenerationFields, options_of
from transcriber.wire.job import Defaults, Job

MARK = "audio_input"
"""The field by which the dialect is known."""

ACCEPTED = "the bytes of an audio file in hexadecimal digits, a list of samples, or an object with samples in 'raw'"


class JumpStartFields(GenerationFields):
    """The body."""

    model_config = ConfigDict(title="JumpStartRequest")

    audio_input: Annotated[
        object,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": "^([0-9A-Fa-f]{2})+$"},
                    {"type": "array", "items": {"type": "number"}},
                    samples.SampleFields.model_json_schema(),
                ],
                "description": ACCEPTED,
            }
        ),
    ] = Field(description=ACCEPTED)


def parse(given: Mapping[str, object], *, defaults: Defaults) -> Job:
    """Understand a body in this dialect; the answer is `{"text": ["..."]}`.

    Raises:
        MalformedRequest: A field is unknown or ill-formed.
        NotAudio: `audio_input` holds nothing.
        UnsupportedOption: More than one transcript was asked for.
    """
    fields = validated(JumpStartFields, given)
    return job_in(Dialect.JUMPSTART, options_of(fields), source=_source(fields.audio_input), defaults=defaults)


def _source(value: object) -> InlineBytes:
    match value:
        case str():
            return inline_audio.decode_hex(value, field=MARK)
        case dict() | list():
            return samples.source_of(value, field=MARK)
        case _:
            raise MalformedRequest(f"'{MARK}' is {shown(value)}, but must be {ACCEPTED}")
