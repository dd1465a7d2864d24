"""The options of a request, whatever dialect they came in, and the one place where a refused field becomes a sentence.

Every field says in its description what it accepts, such that "must be <description>" reads well: the sentences, the
published schema and docs/http.md all say the same.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from transcriber import languages
from transcriber.audio.sources import Source
from transcriber.errors import MalformedRequest, UnsupportedOption
from transcriber.options import (
    LADDER,
    DecodingOptions,
    Dialect,
    ResponseFormat,
    StreamFormat,
    Task,
    TranscriptionOptions,
)
from transcriber.wire import accept as accepted_forms
from transcriber.wire.job import Answer, Defaults, Job

LONGEST_TEXT = 1000
"""Characters of a prompt or of hotwords; Whisper keeps 223 tokens of a prompt, which is less."""

SHOWN = 60
"""Characters of a refused value that are repeated to the caller."""

LIKENESS = 0.7
"""How alike (difflib's ratio) an unknown name must be to a field's to be offered instead of it."""

MOST_FAULTS = 5
"""Faults named in one answer: SageMaker cuts a message at 2,048 characters."""

_STANDARD = DecodingOptions()


def _text(value: str) -> str:
    """Refuse what JSON can write but UTF-8 cannot: half of a surrogate pair."""
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("it holds half of a surrogate pair")
    return value


def _language(value: str) -> str | None:
    name = value.strip().lower()
    if name == "auto":
        return None
    if name in languages.NAMES:
        return name
    if name in languages.CODES:
        return languages.CODES[name]
    close = difflib.get_close_matches(name, languages.CODES, n=1, cutoff=LIKENESS)
    raise ValueError(f'did you mean "{close[0]}"?' if close else "docs/http.md lists the languages")


def _ascending(value: float | list[float]) -> float | list[float]:
    if isinstance(value, list) and any(later <= earlier for earlier, later in itertools.pairwise(value)):
        raise ValueError("these do not ascend")
    return value


LANGUAGE_ACCEPTED = 'a language code such as "en", an English name such as "german", or "auto" to detect it'

Text = Annotated[str, AfterValidator(_text)]
Prompt = Annotated[Text, Field(max_length=LONGEST_TEXT)]
Language = Annotated[Text, AfterValidator(_language)]
Temperature = Annotated[float, Field(ge=0, le=1)]
Temperatures = Annotated[
    Temperature | Annotated[list[Temperature], Field(min_length=1, max_length=10)], AfterValidator(_ascending)
]


class Fields(BaseModel):
    """An object that a caller sends: known names, and values that are what they are said to be.

    Null is the same as leaving a field out, but for the names in `SWITCHED_OFF_BY_NULL`.
    """

    SWITCHED_OFF_BY_NULL: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        if not isinstance(given, Mapping):
            return given
        return {
            name: value
            for name, value in given.items()
            if value is not None or name in cls.SWITCHED_OFF_BY_NULL or name not in cls.model_fields
        }


class OptionFields(Fields):
    """What callers may choose, under the names of the JSON body; every dialect is translated into these."""

    SWITCHED_OFF_BY_NULL = frozenset({"compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold"})

    task: Annotated[Task, Field(strict=False)] = Field(
        default=_STANDARD.task, description='"transcribe" or "translate" (into English)'
    )
    language: Language | None = Field(
        default=None,
        description=LANGUAGE_ACCEPTED,
    )
    beam_size: int = Field(default=_STANDARD.beam_size, ge=1, le=10, description="a whole number from 1 to 10")
    vad_filter: bool | None = Field(default=None, description="true or false")
    return_segments: bool | None = Field(default=None, description="true or false")
    word_timestamps: bool = Field(default=_STANDARD.word_timestamps, description="true or false")
    initial_prompt: Prompt | None = Field(default=None, description="a string of at most 1,000 characters")
    hotwords: Prompt | None = Field(default=None, description="a string of at most 1,000 characters")
    temperature: Temperatures | None = Field(
        default=None,
        description="a number from 0 to 1, or a list of 1 to 10 such numbers, each above the one before it",
    )
    condition_on_previous_text: bool = Field(default=False, description="true or false")
    compression_ratio_threshold: float | None = Field(
        default=_STANDARD.compression_ratio_threshold,
        gt=0,
        description="a number above 0, or null to switch the rule off",
    )
    log_prob_threshold: float | None = Field(
        default=_STANDARD.log_prob_threshold, le=0, description="a number not above 0, or null to switch the rule off"
    )
    no_speech_threshold: float | None = Field(
        default=_STANDARD.no_speech_threshold,
        ge=0,
        le=1,
        description="a number from 0 to 1, or null to switch the rule off",
    )
    response_format: Annotated[ResponseFormat, Field(strict=False)] | None = Field(
        default=None, description='"json", "verbose_json", "text", "srt" or "vtt"'
    )
    stream: bool | None = Field(default=None, description="true or false")


AnyFields = TypeVar("AnyFields", bound=Fields)


def validated(model: type[AnyFields], given: Mapping[str, object], *, within: str = "") -> AnyFields:
    """Hold what a caller sent against a dialect's model.

    Args:
        model: The names that are known, and what they accept.
        given: The object as it came.
        within: The full name of the field that holds the object, for messages; empty for the body itself.

    Raises:
        MalformedRequest: A field is unknown or holds what it does not accept; the message names each of them, what
            came and what is accepted.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise MalformedRequest(_sentence(error.errors(include_url=False), model, within)) from error


def job_of(fields: OptionFields, *, source: Source, accept: str | None, defaults: Defaults) -> Job:
    """Turn validated fields into the job they describe.

    Args:
        fields: What the caller chose.
        source: Where the audio is.
        accept: The request's Accept header; heeded when no `response_format` was chosen.
        defaults: What holds where the caller chose nothing.

    Raises:
        UnsupportedOption: A stream was asked for in a form that is not streamed.
        MalformedRequest: The caller both wants a stream and does not.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    form, stream = _forms(fields, accept)
    segments_by_default = defaults.return_segments or form is ResponseFormat.VERBOSE_JSON
    return Job(
        source=source,
        options=TranscriptionOptions(
            language=fields.language,
            vad_filter=defaults.vad_filter if fields.vad_filter is None else fields.vad_filter,
            condition_on_previous_text=fields.condition_on_previous_text,
            decoding=DecodingOptions(
                task=fields.task,
                beam_size=fields.beam_size,
                temperatures=_temperatures(fields.temperature),
                initial_prompt=fields.initial_prompt or None,
                hotwords=fields.hotwords or None,
                word_timestamps=fields.word_timestamps,
                compression_ratio_threshold=fields.compression_ratio_threshold,
                log_prob_threshold=fields.log_prob_threshold,
                no_speech_threshold=fields.no_speech_threshold,
            ),
        ),
        answer=Answer(
            format=form,
            with_segments=segments_by_default if fields.return_segments is None else fields.return_segments,
            with_words=fields.word_timestamps,
            stream=stream,
        ),
    )


def job_in(
    dialect: Dialect,
    fields: OptionFields,
    *,
    source: Source,
    defaults: Defaults,
    with_segments: bool = False,
    with_words: bool = False,
) -> Job:
    """Turn what a dialect was translated into to a job that is answered in that dialect, whatever `Accept` says."""
    job = job_of(fields, source=source, accept=None, defaults=defaults)
    answer = Answer(format=ResponseFormat.JSON, with_segments=with_segments, with_words=with_words, dialect=dialect)
    return replace(job, answer=answer)


def _forms(fields: OptionFields, accept: str | None) -> tuple[ResponseFormat, StreamFormat | None]:
    """Choose the form, and how it is streamed if it is: what the caller wrote wins over the header."""
    if fields.stream:
        if fields.response_format not in (None, ResponseFormat.JSON):
            raise UnsupportedOption(
                f"'stream' is true and 'response_format' is {shown(fields.response_format)}, but a stream carries its "
                'segments as "json": leave one of the two out'
            )
        return ResponseFormat.JSON, accepted_forms.stream_of(accept)
    form = fields.response_format or accepted_forms.negotiate(accept)
    if isinstance(form, ResponseFormat):
        return form, None
    if fields.stream is False:
        raise MalformedRequest("Accept asks for a stream, but 'stream' is false: change one of the two")
    return ResponseFormat.JSON, form


def _temperatures(chosen: float | list[float] | None) -> tuple[float, ...]:
    match chosen:
        case None:
            return LADDER
        case list():
            return tuple(chosen)
        case _:
            return (chosen,)


def closest(name: str, known: Sequence[str]) -> str | None:
    """Find the field that a name is a slip of the pen for; None when there is none."""
    return next(iter(difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=LIKENESS)), None)


def unknown(name: str, known: Sequence[str], *, within: str = "") -> str:
    """Say that there is no such field in the body, or within an object of it, and which one may have been meant."""
    close = closest(name, known)
    hint = f"did you mean '{close}'?" if close else f"the fields are {', '.join(known)}"
    return f"'{shown(f'{within}.{name}' if within else name)[1:-1]}' is not a field here: {hint}"


def shown(value: object) -> str:
    """Write a refused value as JSON would, in at most about 60 characters of one line."""
    match value:
        case dict():
            return "an object"
        case list() if len(value) > 10 or any(isinstance(item, dict | list) for item in value):
            return f"a list of {len(value)}"
        case str():
            text = json.dumps(value[: SHOWN + 1], ensure_ascii=False)
        case _:
            text = json.dumps(value)
    # Half of a surrogate pair could not be sent back, and a separator of lines would make two of a log's one.
    text = "".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in text)
    return text if len(text) <= SHOWN + 2 else f"{text[:SHOWN]}…"


def _sentence(faults: Sequence[ErrorDetails], model: type[Fields], within: str) -> str:
    """Say what is wrong with each field, once per field, and what is accepted."""
    sentences: dict[str, str] = {}
    for fault in faults:
        path, holder, field = _place(model, [str(step) for step in fault["loc"]])
        name = ".".join(filter(None, (within, path)))
        if not path:
            sentence = "a field has a name that is no Unicode text"
        elif field is None:
            above, _, step = name.rpartition(".") if holder is not model or within else ("", "", name)
            sentence = unknown(step, [*_names(holder)], within=above)
        elif fault["type"] == "missing":
            sentence = f"'{name}' is missing; it must be {field.description}"
        else:
            reason = f": {fault['ctx']['error']}" if fault["type"] == "value_error" else ""
            sentence = f"'{name}' is {shown(fault['input'])}, but must be {field.description}{reason}"
        sentences.setdefault(name, sentence)
    return "; ".join(list(sentences.values())[:MOST_FAULTS])


def _place(model: type[Fields], steps: Sequence[str]) -> tuple[str, type[Fields], FieldInfo | None]:
    """Follow a fault's location down to the deepest field: its full name, the object that holds it, the field itself.

    The field is None when the object has none of that name; steps into lists and unions are left out.
    """
    name, holder, field = "", model, None
    for step in steps:
        inner = _fields_in(field) if field else model
        if inner is None:
            break
        holder, field = inner, _names(inner).get(step)
        name = f"{name}.{step}" if name else step
    return name, holder, field


def _names(model: type[Fields]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _fields_in(field: FieldInfo) -> type[Fields] | None:
    """Find the object that a field holds, if it holds one."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Fields)), None)
