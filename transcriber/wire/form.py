"""A multipart form with the fields of OpenAI's transcription API, and ours -> a job.

A form is in OpenAI's dialect when it comes to one of OpenAI's paths or has a `model`, which that API requires: its
answers are then OpenAI's too. Without, it is a third way to write our own dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import ConfigDict, Field

from transcriber.audio.sources import Upload
from transcriber.errors import MalformedRequest, NotAudio, UnsupportedOption
from transcriber.options import Dialect, ResponseFormat, StreamFormat, Task
from transcriber.wire.fields import LONGEST_TEXT, Fields, Language, OptionFields, Prompt, Text, job_of, shown, validated
from transcriber.wire.job import Defaults, Job
from transcriber.wire.text_fields import typed

FILE_PARTS = ("file", "content")
"""Names of the part that holds the audio: OpenAI's, and the one that AWS's WhisperX container takes."""

GRANULARITIES = "timestamp_granularities[]"
STRATEGY = "chunking_strategy"
STRATEGIES = '"auto", or an object of the type "server_vad"'


class ServerVadFields(Fields):
    """OpenAI's knobs of speech detection: checked, then left aside, for ours has none."""

    type: Literal["server_vad"] = Field(description='"server_vad"')
    threshold: float | None = Field(default=None, ge=0, le=1, description="a number from 0 to 1")
    prefix_padding_ms: int | None = Field(default=None, ge=0, description="a whole number, not below 0")
    silence_duration_ms: int | None = Field(default=None, ge=0, description="a whole number, not below 0")


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
    keywords: list[Text] = Field(
        default=[], alias="keywords[]", description="strings, together at most 1,000 characters"
    )
    languages: list[Language] = Field(
        default=[], alias="languages[]", description='language codes such as "en", or English names such as "german"'
    )
    chunking_strategy: Text | None = Field(default=None, description=STRATEGIES)
    include: list[Literal["logprobs"]] = Field(default=[], alias="include[]", description='"logprobs"')
    known_speaker_names: list[Text] = Field(default=[], alias="known_speaker_names[]", description="strings")
    known_speaker_references: list[Text] = Field(
        default=[], alias="known_speaker_references[]", description="data URLs"
    )


LISTS = frozenset(field.alias for field in FormFields.model_fields.values() if field.alias)
"""Names that may be there more than once."""


def file_part(parts: Mapping[str | None, int]) -> str:
    """Choose the part that holds the audio.

    Args:
        parts: Name of each part that is a file -> how many there are of that name; None stands for none.

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
            named = "without a name" if name is None else f"named {shown(name)}"
            raise MalformedRequest(f"the form has its file in a part {named}, but it must be named 'file'")
        case _:
            raise MalformedRequest(f"the form has {sum(parts.values())} files, but must have one, named 'file'")


def parse(
    upload: Upload,
    fields: Mapping[str | None, list[str]],
    *,
    accept: str | None,
    defaults: Defaults,
    task: Task | None = None,
) -> Job:
    """Understand a form.

    Args:
        upload: The part that `file_part` chose.
        fields: The other parts: name -> values, in the form's order; None stands for no name.
        accept: The Accept header; heeded when the form is in our own dialect and has no `response_format`.
        defaults: What holds where the caller says nothing.
        task: What one of OpenAI's paths stands for; None on a path of ours.

    Raises:
        NotAudio: The file is empty.
        MalformedRequest: A field is unknown, ill-formed or there twice, or word timestamps were asked for in a form of
            answer that has no place for them.
        UnsupportedOption: A stream was asked for in a form that is not streamed, or something that no engine gives:
            probabilities of tokens, names of speakers.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    if upload.size_bytes == 0:
        raise NotAudio("the file in the form is empty: send the bytes of an audio file")
    given, strategy = _values(fields)
    said = validated(FormFields, given)
    _refuse_what_nobody_can(said)
    wants_words = "word" in said.granularities
    # As at OpenAI: words alone leave the segments out.
    without_segments = wants_words and "segment" not in said.granularities and said.return_segments is None
    is_openai = task is not None or said.model is not None
    options = said.model_copy(
        update={
            "task": _task(said, task),
            "language": _language(said),
            "initial_prompt": _one_of("initial_prompt", said.initial_prompt, "prompt", said.prompt),
            "hotwords": _one_of("hotwords", said.hotwords, "keywords[]", _hotwords(said)),
            "temperature": said.temperature or None,
            "vad_filter": _wants_detection(said, strategy),
            "word_timestamps": said.word_timestamps or wants_words,
            "return_segments": False if without_segments else said.return_segments,
            "response_format": _response_format(said, is_openai=is_openai),
        }
    )
    job = job_of(options, source=upload, accept=None if is_openai else accept, defaults=defaults)
    if wants_words and job.answer.format is not ResponseFormat.VERBOSE_JSON:
        raise MalformedRequest(
            f"'{GRANULARITIES}' is \"word\", which goes with response_format=verbose_json only, not with "
            f"{job.answer.format}; in other forms set word_timestamps=true"
        )
    if is_openai:
        stream = StreamFormat.OPENAI if job.answer.stream else None
        return replace(job, answer=replace(job.answer, dialect=Dialect.OPENAI, stream=stream))
    return job


def _values(fields: Mapping[str | None, list[str]]) -> tuple[dict[str, object], dict[str, object]]:
    """Read the fields, and apart from them `chunking_strategy[type]` and its like, as the client writes an object."""
    given: dict[str, object] = {}
    strategy: dict[str, object] = {}
    for name, values in fields.items():
        if name is None:
            raise MalformedRequest("the form has a part without a name: give each one in its Content-Disposition")
        if name not in LISTS and len(values) != 1:
            raise MalformedRequest(f"the form has '{shown(name)[1:-1]}' {len(values)} times, but may have it once")
        if name.startswith(f"{STRATEGY}[") and name.endswith("]"):
            strategy[name[len(STRATEGY) + 1 : -1]] = typed(name, values[0])
        else:
            given[name] = values if name in LISTS else typed(name, values[0])
    if STRATEGY in given and strategy:
        raise MalformedRequest(f"the form has '{STRATEGY}' both as a text and as an object: give only one")
    return given, strategy


def _refuse_what_nobody_can(said: FormFields) -> None:
    if said.include:
        raise UnsupportedOption("'include[]' asks for logprobs of tokens, which are not given here: leave it out")
    if said.known_speaker_names or said.known_speaker_references:
        raise UnsupportedOption(
            "'known_speaker_names[]' asks to tell speakers apart, which is not done here: leave it out"
        )


def _task(said: FormFields, of_path: Task | None) -> Task:
    if of_path is not None and "task" in said.model_fields_set and said.task is not of_path:
        raise MalformedRequest(f"'task' is {shown(said.task)}, but this path can only {of_path}: leave the field out")
    return of_path or said.task


def _language(said: FormFields) -> str | None:
    """Take the language, or the only one of the possible ones; several are left to detection."""
    only = said.languages[0] if len(said.languages) == 1 else None
    if said.language is not None and said.languages:
        raise MalformedRequest("the form has both 'language' and 'languages[]': give only one")
    return said.language or only


def _hotwords(said: FormFields) -> str | None:
    text = ", ".join(said.keywords)
    if len(text) > LONGEST_TEXT:
        raise MalformedRequest(
            f"'keywords[]' has {len(text):,} characters together, but may have at most {LONGEST_TEXT:,}"
        )
    return text or None


def _one_of(our_name: str, ours: str | None, their_name: str, theirs: str | None) -> str | None:
    if ours is not None and theirs is not None:
        raise MalformedRequest(f"the form has both '{their_name}' and '{our_name}', which mean the same: give only one")
    return ours if theirs is None else theirs


def _wants_detection(said: FormFields, strategy: dict[str, object]) -> bool | None:
    """Any strategy cuts at silences, for which speech must be found; what the caller says of `vad_filter` wins."""
    if said.chunking_strategy is None and not strategy:
        return said.vad_filter
    if said.chunking_strategy != "auto":
        validated(ServerVadFields, strategy or _object_of(said.chunking_strategy or ""), within=STRATEGY)
    return True if said.vad_filter is None else said.vad_filter


def _object_of(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MalformedRequest(f"'{STRATEGY}' is {shown(text)}, but must be {STRATEGIES}")
    return found


def _response_format(said: FormFields, *, is_openai: bool) -> ResponseFormat | None:
    """Take the form; at OpenAI a stream of `text` is the same as one of `json`."""
    if is_openai and said.stream and said.response_format is ResponseFormat.TEXT:
        return ResponseFormat.JSON
    return said.response_format
