"""The dialect of the container for Parakeet: `audio` and `timestamps`.

Source: a public SageMaker handler for parakeet-tdt-0.6b-v2, which answers with the timestamps of NeMo's `transcribe`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from transcriber.options import Dialect
from transcriber.wire import named_audio
from transcriber.wire.fields import Fields, Language, OptionFields, job_in, validated
from transcriber.wire.job import Defaults, Job

MARK = "audio"
"""The field by which the dialect is known."""


class ParakeetFields(Fields):
    """The body."""

    model_config = ConfigDict(title="ParakeetRequest")

    audio: Annotated[
        object,
        WithJsonSchema(
            {
                "anyOf": [{"type": "string"}, named_audio.AudioFields.model_json_schema()],
                "description": named_audio.ACCEPTED,
            }
        ),
    ] = Field(description=named_audio.ACCEPTED)
    language: Language | None = Field(
        default=None,
        description='a language code such as "en", an English name such as "german", or "auto" to detect it',
    )
    timestamps: bool = Field(default=False, description="true or false")


def parse(given: Mapping[str, object], *, defaults: Defaults) -> Job:
    """Understand a body in this dialect; the answer is `{"text"}`, with `timestamps` if they are wanted.

    Raises:
        MalformedRequest: A field is unknown or ill-formed.
        NotAudio: The audio holds no bytes.
    """
    fields = validated(ParakeetFields, given)
    return job_in(
        Dialect.PARAKEET,
        OptionFields(language=fields.language, word_timestamps=fields.timestamps),
        source=named_audio.source_of(fields.audio, field=MARK),
        defaults=defaults,
        with_segments=fields.timestamps,
        with_words=fields.timestamps,
    )
