"""A body that is no form -> a job: JSON in any dialect, or the bytes of an audio file."""

from __future__ import annotations

from transcriber.audio.sources import Upload
from transcriber.errors import TooLarge
from transcriber.wire import json_body, raw_body
from transcriber.wire.job import Defaults, Job

PEEK_BYTES = 64
"""How much of a body tells whether it is JSON."""


def parse(
    upload: Upload,
    *,
    says_json: bool,
    attributes: str | None,
    accept: str | None,
    limit_json_bytes: int,
    defaults: Defaults,
) -> Job:
    """Understand a body.

    Args:
        upload: The body.
        says_json: Whether its content type says that it is JSON; it may be without.
        attributes: X-Amzn-SageMaker-Custom-Attributes, which bytes of audio have their options in.
        accept: The Accept header.
        limit_json_bytes: The most of JSON that is read into memory.
        defaults: What holds where the caller says nothing.

    Raises:
        TooLarge: The body is JSON above the limit.
        RequestError: What `json_body.parse` and `raw_body.parse` raise.
    """
    if not says_json and not raw_body.looks_like_json(_first_bytes(upload)):
        return raw_body.parse(upload, attributes=attributes, accept=accept, defaults=defaults)
    if upload.size_bytes > limit_json_bytes:
        raise TooLarge(
            f"a JSON body of {upload.size_bytes} bytes is above the {limit_json_bytes} that this container takes; send "
            "the audio as the body itself, or name it by s3_uri"
        )
    return json_body.parse(upload.file.read(), defaults=defaults, accept=accept)


def _first_bytes(upload: Upload) -> bytes:
    first = upload.file.read(PEEK_BYTES)
    upload.file.seek(0)
    return first
