"""A value that holds or names audio, as other containers take it -> where the audio is."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, WithJsonSchema

from transcriber.audio.sources import InlineBytes, S3Object, WebAddress
from transcriber.errors import MalformedRequest
from transcriber.wire import inline_audio, s3_uri
from transcriber.wire.fields import Fields, Text, shown, validated

ACCEPTED = "base64, a data URL, an address (https://, s3://), or an object with either 'data' or 'path'"
ADDRESS = "an address that begins with https://, http:// or s3://; no file of the container is read"

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]{0,20}):/", re.ASCII)
"""No base64 has a colon, and a data URL has no slash after it."""


class AudioFields(Fields):
    """Audio as an object, in the containers for Voxtral and Parakeet."""

    data: str | None = Field(default=None, description="a string: base64 or a data URL")
    path: Text | None = Field(default=None, description=ADDRESS)


NamedAudio = Annotated[
    object,
    WithJsonSchema({"anyOf": [{"type": "string"}, AudioFields.model_json_schema()], "description": ACCEPTED}),
]
"""The type of a field for such a value; `source_of` checks it."""


def source_of(value: object, *, field: str) -> S3Object | WebAddress | InlineBytes:
    """Understand a text or an object that stands for audio.

    Args:
        value: As it came.
        field: The name of the field it came in, for messages.

    Raises:
        MalformedRequest: It is neither.
        NotAudio: It holds no bytes.
    """
    match value:
        case str():
            return of_text(value, field=field)
        case dict():
            audio = validated(AudioFields, value, within=field)
        case _:
            raise MalformedRequest(f"'{field}' is {shown(value)}, but must be {ACCEPTED}")
    match audio.data, audio.path:
        case str(data), None:
            return inline_audio.decode(data, field=f"{field}.data")
        case None, str(path):
            return _of_address(path, field=f"{field}.path")
        case _:
            raise MalformedRequest(f"'{field}' must have either 'data' or 'path', and only one of them")


def of_text(text: str, *, field: str) -> S3Object | WebAddress | InlineBytes:
    """Understand a text that is an address, a data URL or base64.

    Raises:
        MalformedRequest: It is none of them.
        NotAudio: It holds no bytes.
    """
    return _of_address(text, field=field) if _SCHEME.match(text) else inline_audio.decode(text, field=field)


def _of_address(text: str, *, field: str) -> S3Object | WebAddress:
    found = _SCHEME.match(text)
    if found is None:
        raise MalformedRequest(f"'{field}' is no address, but must be {ADDRESS}")
    match found.group(1).lower():
        case "s3":
            return s3_uri.parse(text, field=field)
        case "http" | "https":
            return WebAddress(url=text.strip())
        case scheme:
            raise MalformedRequest(f"'{field}' has the scheme {scheme!r}, but must be {ADDRESS}")
