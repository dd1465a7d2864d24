"""The dialect of AWS's container for Voxtral: `transcription`.

Source: `code/model.py` of "Mistral Voxtral/Voxtral-vllm-byoc" in aws-samples/mistral-on-aws. Its chat dialect
(`messages`) is not spoken here.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from transcriber.options import Dialect
from transcriber.wire import named_audio
from transcriber.wire.fields import (
    LANGUAGE_ACCEPTED,
    Fields,
    Language,
    OptionFields,
    Temperature,
    Text,
    job_in,
    validated,
)
from transcriber.wire.job import Defaults, Job

MARK = "transcription"
"""The field by which the dialect is known."""


class TranscriptionFields(Fields):
    """What is to be transcribed, and how."""

    audio: named_audio.NamedAudio = Field(description=named_audio.ACCEPTED)
    language: Language | None = Field(
        default=None,
        description=LANGUAGE_ACCEPTED,
    )
    temperature: Temperature | None = Field(default=None, description="a number from 0 to 1")
    model: Text | None = Field(default=None, description="a string; any is accepted, for one model is loaded")


class VoxtralFields(Fields):
    """The body."""

    model_config = ConfigDict(title="VoxtralRequest")

    transcription: TranscriptionFields = Field(description="an object with 'audio'")


def parse(given: Mapping[str, object], *, defaults: Defaults) -> Job:
    """Understand a body in this dialect; the answer is `{"transcription": {"text", "language", "duration"}}`.

    Raises:
        MalformedRequest: A field is unknown or ill-formed.
        NotAudio: The audio holds no bytes.
    """
    said = validated(VoxtralFields, given).transcription
    return job_in(
        Dialect.VOXTRAL,
        OptionFields(language=said.language, temperature=said.temperature),
        source=named_audio.source_of(said.audio, field=f"{MARK}.audio"),
        defaults=defaults,
    )
