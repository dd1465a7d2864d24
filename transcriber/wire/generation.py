"""The parameters of transformers' `generate`, as JumpStart's and Hugging Face's containers take them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from transcriber.errors import MalformedRequest, UnsupportedOption
from transcriber.options import DecodingOptions, Task
from transcriber.wire.fields import Fields, Language, OptionFields, Temperatures, shown

SAMPLING = 1.0
"""The temperature of `do_sample` where none is given (transformers `GenerationConfig`)."""


def _unwrapped(value: object) -> object:
    """Take the name out of Whisper's own token for a language, `<|fr|>`."""
    return value[2:-2] if isinstance(value, str) and value.startswith("<|") and value.endswith("|>") else value


Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
GenerationLanguage = Annotated[Language, BeforeValidator(_unwrapped)]
_STANDARD = DecodingOptions()
_WHOLE, _SHARE, _NUMBER = "a whole number, not below 0", "a number from 0 to 1", "a number"


class GenerationFields(Fields):
    """What JumpStart lets callers choose beside the audio.

    Source: `WhisperGenerationMixin.generate` of transformers, in which a temperature above 0 samples.
    """

    language: GenerationLanguage | None = Field(
        default=None, description='an English name such as "french", or a code such as "fr"'
    )
    task: Annotated[Task, Field(strict=False)] = Field(
        default=Task.TRANSCRIBE, description='"transcribe" or "translate" (into English)'
    )
    num_beams: int | None = Field(default=None, ge=1, le=10, description="a whole number from 1 to 10")
    temperature: Temperatures | None = Field(
        default=None,
        description="a number from 0 to 1, or a list of 1 to 10 such numbers, each above the one before it",
    )
    do_sample: bool | None = Field(default=None, description="true or false")
    num_return_sequences: int = Field(default=1, ge=1, description="1, for a recording has one transcript")
    # Checked, then left aside: a recording is always read to its end, and the search is the engine's own.
    max_length: Whole | None = Field(default=None, description=_WHOLE)
    max_new_tokens: Whole | None = Field(default=None, description=_WHOLE)
    min_length: Whole | None = Field(default=None, description=_WHOLE)
    no_repeat_ngram_size: Whole | None = Field(default=None, description=_WHOLE)
    early_stopping: bool | Literal["never"] | None = Field(default=None, description='true, false or "never"')
    top_k: Whole | None = Field(default=None, description=_WHOLE)
    top_p: Share | None = Field(default=None, description=_SHARE)


class WhisperGenerationFields(GenerationFields):
    """What Hugging Face's pipeline lets callers choose beside it: `generate_kwargs`, or `generation_parameters`."""

    SWITCHED_OFF_BY_NULL = frozenset({"compression_ratio_threshold", "logprob_threshold", "no_speech_threshold"})

    return_timestamps: bool = Field(default=False, description="true or false")
    condition_on_prev_tokens: bool = Field(default=False, description="true or false")
    compression_ratio_threshold: float | None = Field(
        default=_STANDARD.compression_ratio_threshold, gt=0, description="a number above 0, or null"
    )
    logprob_threshold: float | None = Field(
        default=_STANDARD.log_prob_threshold, le=0, description="a number not above 0, or null"
    )
    no_speech_threshold: float | None = Field(
        default=_STANDARD.no_speech_threshold, ge=0, le=1, description="a number from 0 to 1, or null"
    )
    # Checked, then left aside.
    min_new_tokens: Whole | None = Field(default=None, description=_WHOLE)
    num_beam_groups: Whole | None = Field(default=None, description=_WHOLE)
    use_cache: bool | None = Field(default=None, description="true or false")
    length_penalty: float | None = Field(default=None, description=_NUMBER)
    repetition_penalty: float | None = Field(default=None, description=_NUMBER)
    penalty_alpha: float | None = Field(default=None, description=_NUMBER)
    typical_p: Share | None = Field(default=None, description=_SHARE)
    epsilon_cutoff: Share | None = Field(default=None, description=_SHARE)
    eta_cutoff: Share | None = Field(default=None, description=_SHARE)


def options_of(said: GenerationFields, *, field: str = "") -> OptionFields:
    """Translate the parameters into ours; what is left aside has no part in it.

    Args:
        said: What the caller chose.
        field: The name of the object they came in, with its point, for messages.

    Raises:
        MalformedRequest: The caller both wants to sample and does not.
        UnsupportedOption: More than one transcript was asked for.
    """
    if said.num_return_sequences != 1:
        raise UnsupportedOption(
            f"'{field}num_return_sequences' is {said.num_return_sequences}, but a recording has one transcript here: "
            "leave it out"
        )
    if said.do_sample and said.temperature == 0:
        raise MalformedRequest(
            f"'{field}do_sample' is true and '{field}temperature' is {shown(said.temperature)}, at which nothing is "
            "sampled: change one of the two"
        )
    temperature = said.temperature
    if said.do_sample is False:
        temperature = 0.0
    elif said.do_sample and temperature is None:
        temperature = SAMPLING
    chosen: dict[str, object] = {"language": said.language, "task": said.task, "temperature": temperature}
    if said.num_beams is not None:
        chosen["beam_size"] = said.num_beams
    if isinstance(said, WhisperGenerationFields):
        chosen |= {
            "condition_on_previous_text": said.condition_on_prev_tokens,
            "compression_ratio_threshold": said.compression_ratio_threshold,
            "log_prob_threshold": said.logprob_threshold,
            "no_speech_threshold": said.no_speech_threshold,
        }
    return OptionFields.model_validate(chosen)
