"""The dialect of Hugging Face's inference toolkit and endpoints: `inputs` and `parameters`.

Source: `decoder_encoder.py` of sagemaker-huggingface-inference-toolkit, and the keywords of transformers'
`AutomaticSpeechRecognitionPipeline`, to which the toolkit hands `parameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, WithJsonSchema

from transcriber.audio.sources import Source
from transcriber.errors import MalformedRequest
from transcriber.options import Dialect
from transcriber.wire import named_audio, samples
from transcriber.wire.fields import Fields, job_in, shown, validated
from transcriber.wire.generation import WhisperGenerationFields, Whole, options_of
from transcriber.wire.job import Defaults, Job

MARK = "inputs"
"""The field by which the dialect is known."""

ACCEPTED = "base64, a data URL, an address (https://, s3://), or an object with samples in 'raw' or 'array'"
Timestamps = bool | Literal["word"]
Seconds = Annotated[float, Field(ge=0)]


class ParameterFields(Fields):
    """The keywords of the pipeline."""

    return_timestamps: Timestamps | None = Field(default=None, description='true, false or "word"')
    generate_kwargs: WhisperGenerationFields | None = Field(default=None, description="an object")
    generation_parameters: WhisperGenerationFields | None = Field(default=None, description="an object")
    # Checked, then left aside: windows and batches are the container's own business.
    chunk_length_s: Seconds | None = Field(default=None, description="a number of seconds, not below 0")
    stride_length_s: Seconds | Annotated[list[Seconds], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="a number of seconds, not below 0, or a list of two"
    )
    batch_size: Whole | None = Field(default=None, description="a whole number, not below 0")
    max_new_tokens: Whole | None = Field(default=None, description="a whole number, not below 0")


class HuggingFaceFields(Fields):
    """The body."""

    model_config = ConfigDict(title="HuggingFaceRequest")

    inputs: Annotated[
        object,
        WithJsonSchema(
            {"anyOf": [{"type": "string"}, samples.SampleFields.model_json_schema()], "description": ACCEPTED}
        ),
    ] = Field(description=ACCEPTED)
    parameters: ParameterFields = Field(default=ParameterFields(), description="an object")


def parse(given: Mapping[str, object], *, defaults: Defaults) -> Job:
    """Understand a body in this dialect; the answer is `{"text", "chunks"}`, chunks only if timestamps are wanted.

    Raises:
        MalformedRequest: A field is unknown or ill-formed, or the parameters of `generate` are there twice.
        NotAudio: `inputs` holds nothing.
        UnsupportedOption: More than one transcript was asked for.
    """
    fields = validated(HuggingFaceFields, given)
    said = fields.parameters
    if said.generate_kwargs is not None and said.generation_parameters is not None:
        raise MalformedRequest(
            "'parameters' has both 'generate_kwargs' and 'generation_parameters', which mean the same: give only one"
        )
    name = "generate_kwargs" if said.generation_parameters is None else "generation_parameters"
    generation = said.generate_kwargs or said.generation_parameters or WhisperGenerationFields()
    with_words = said.return_timestamps == "word"
    options = options_of(generation, field=f"parameters.{name}.")
    return job_in(
        Dialect.HUGGING_FACE,
        options.model_copy(update={"word_timestamps": with_words}),
        source=_source(fields.inputs),
        defaults=defaults,
        with_segments=not with_words and bool(said.return_timestamps or generation.return_timestamps),
        with_words=with_words,
    )


def _source(value: object) -> Source:
    match value:
        case str():
            return named_audio.of_text(value, field=MARK)
        case dict():
            return samples.source_of(value, field=MARK)
        case _:
            raise MalformedRequest(f"'{MARK}' is {shown(value)}, but must be {ACCEPTED}")
