"""The dialect of the container for Parakeet: `audio` and `timestamps`.

Source: a public SageMaker handler for parakeet-tdt-0.6b-v2, which answers with the timestamps of NeMo's `transcribe`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from transcriber.options import Dialect
from transcriber.wire import named_audio
from transcriber.wire.fields import LANGUAGE_ACCEPTED, Fields, Language, OptionFields, job_in, validated
from transcriber.wire.job import Defaults, Job

MARK = "audio"
"""The field by which the dialect is known."""


class ParakeetFields(Fields):
    """The body."""

    model_config = ConfigDict(title="ParakeetRequest")

    audio: named_audio.NamedAudio = Field(description=named_audio.ACCEPTED)
    language: Language | None = Field(
        default=None,
        description=LANGUAGE_ACCEPTED,
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
