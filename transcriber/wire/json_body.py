"""A JSON body -> a job."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, NoReturn

from pydantic import ConfigDict, Field

from transcriber.audio.sources import Source
from transcriber.errors import MalformedRequest
from transcriber.wire import inline_audio, s3_uri
from transcriber.wire.fields import OptionFields, Text, job_of, shown, validated
from transcriber.wire.job import Defaults, Job

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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


def schema() -> dict[str, object]:
    """Return the JSON schema of the body, for documentation and OpenAPI."""
    return JsonFields.model_json_schema()


def parse(body: bytes, *, defaults: Defaults, accept: str | None) -> Job:
    """Understand a JSON body.

    Args:
        body: The whole body.
        defaults: What holds where the caller says nothing.
        accept: The Accept header; heeded when the body has no `response_format`.

    Raises:
        MalformedRequest: The body is no JSON object in UTF-8, a field is unknown or ill-formed, or there is not exactly
            one source.
        NotAudio: `audio_b64` holds no bytes.
        UnsupportedOption: A stream was asked for in a form that is not streamed.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    fields = validated(JsonFields, _object_of(body))
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


def _object_of(body: bytes) -> dict[str, object]:
    """Read the body as an object with every name once."""
    if not body or body.isspace():
        raise MalformedRequest("the body is empty: send a JSON object with 's3_uri' or 'audio_b64'")
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8: byte {error.start} is wrong; JSON is sent in UTF-8") from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(
            f"the body is not JSON: {error.msg.lower()} at line {error.lineno} column {error.colno}"
        ) from error
    except RecursionError as error:
        raise MalformedRequest("the body is nested too deeply: send one flat JSON object") from error
    except ValueError as error:
        # Python refuses to read whole numbers of more than 4,300 digits.
        raise MalformedRequest("the body holds a number with too many digits") from error
    if not isinstance(value, dict):
        raise MalformedRequest(f"the body is {shown(value)}, but must be a JSON object")
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise MalformedRequest(f"the body has the field {shown(twice)} more than once")
    return names


def _refuse_constant(constant: str) -> NoReturn:
    raise MalformedRequest(f"the body is not JSON: {constant} is not a JSON number")
