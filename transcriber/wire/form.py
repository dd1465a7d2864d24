"""A multipart form with the fields of OpenAI's transcription API, and ours -> a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field

from transcriber.audio.sources import Upload
from transcriber.errors import MalformedRequest, NotAudio
from transcriber.options import ResponseFormat
from transcriber.wire.fields import OptionFields, Prompt, Text, job_of, shown, validated
from transcriber.wire.job import Defaults, Job
from transcriber.wire.text_fields import typed

FILE_PARTS = ("file", "content")
"""Names of the part that holds the audio: OpenAI's, and the one that AWS's WhisperX container takes."""

GRANULARITIES = "timestamp_granularities[]"


class FormFields(OptionFields):
    """The fields of a form beside the audio: OpenAI's names, and the names of the JSON body.

    Source: `audio/transcriptions` of openai-python 3.52. As there, a temperature of 0 means the whole ladder.
    """

    model_config = ConfigDict(title="TranscriptionForm")

    model: Text | None = Field(default=None, description="a string; any is accepted, for one model is loaded")
    prompt: Prompt | None = Field(default=None, description="a string of at most 1,000 characters")
    granularities: list[Literal["word", "segment"]] = Field(
        default=[], alias=GRANULARITIES, description='"word" or "segment"'
    )


def file_part(parts: Mapping[str, int]) -> str:
    """Choose the part that holds the audio.

    Args:
        parts: Name of each part that is a file -> how many there are of that name.

    Returns:
        The name; there is one part of it.

    Raises:
        MalformedRequest: There is no file, more than one, or one of another name.
    """
    match list(parts.items()):
        case [(name, 1)] if name in FILE_PARTS:
            return name
        case []:
            raise MalformedRequest("the form has no audio: send it as a file in a part named 'file'")
        case [(name, 1)]:
            raise MalformedRequest(f"the form has its file in a part named {shown(name)}, but it must be named 'file'")
        case _:
            raise MalformedRequest(f"the form has {sum(parts.values())} files, but must have one, named 'file'")


def parse(upload: Upload, fields: Mapping[str, list[str]], *, accept: str | None, defaults: Defaults) -> Job:
    """Understand a form.

    Args:
        upload: The part that `file_part` chose.
        fields: The other parts: name -> values, in the form's order.
        accept: The Accept header; heeded when the form has no `response_format`.
        defaults: What holds where the caller says nothing.

    Raises:
        NotAudio: The file is empty.
        MalformedRequest: A field is unknown, ill-formed or there twice, or word timestamps were asked for in a form of
            answer that has no place for them.
        UnsupportedOption: A stream was asked for in a form that is not streamed.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    if upload.size_bytes == 0:
        raise NotAudio("the file in the form is empty: send the bytes of an audio file")
    said = validated(FormFields, {name: _value(name, values) for name, values in fields.items()})
    if said.prompt is not None and said.initial_prompt is not None:
        raise MalformedRequest("the form has both 'prompt' and 'initial_prompt', which mean the same: give only one")
    wants_words = "word" in said.granularities
    # As at OpenAI: words alone leave the segments out.
    without_segments = wants_words and "segment" not in said.granularities and said.return_segments is None
    options = said.model_copy(
        update={
            "initial_prompt": said.initial_prompt if said.prompt is None else said.prompt,
            "temperature": said.temperature or None,
            "word_timestamps": said.word_timestamps or wants_words,
            "return_segments": False if without_segments else said.return_segments,
        }
    )
    job = job_of(options, source=upload, accept=accept, defaults=defaults)
    if wants_words and job.answer.format is not ResponseFormat.VERBOSE_JSON:
        raise MalformedRequest(
            f"'{GRANULARITIES}' is \"word\", which goes with response_format=verbose_json only, not with "
            f"{job.answer.format}; in other forms set word_timestamps=true"
        )
    return job


def _value(name: str, values: list[str]) -> object:
    if name == GRANULARITIES:
        return values
    if len(values) != 1:
        raise MalformedRequest(f"the form has '{shown(name)[1:-1]}' {len(values)} times, but may have it once")
    return typed(name, values[0])
