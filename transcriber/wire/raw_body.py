"""The bytes of an audio file as the body, with options in a header -> a job."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from transcriber.audio.sources import Upload
from transcriber.errors import MalformedRequest, NotAudio
from transcriber.wire.fields import OptionFields, closest, job_of, shown, unknown, validated
from transcriber.wire.headers import CUSTOM_ATTRIBUTES, LONGEST_ATTRIBUTES
from transcriber.wire.job import Defaults, Job
from transcriber.wire.text_fields import typed

FOREIGN = frozenset({"route"})
"""Names in our spelling that are others': AWS's own containers choose a path with `route=/v1/...`."""

_OUR_SPELLING = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def looks_like_json(first_bytes: bytes) -> bool:
    """Tell whether a body is a JSON object whatever its content type says.

    No audio file begins with white space and an opening brace.
    """
    return first_bytes.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(b"{")


def parse(upload: Upload, *, attributes: str | None, accept: str | None, defaults: Defaults) -> Job:
    """Understand a raw body and the headers around it.

    Args:
        upload: The body.
        attributes: X-Amzn-SageMaker-Custom-Attributes: `name=value;name=value`, values percent-encoded where they
            hold `;`, `%` or anything beyond ASCII. The header is shared with tracing and routing: a part that is
            neither an option nor near to one is left alone when it has no `=`, or when its name is not spelt as ours
            are, in lower-case letters, digits and underscores (`Root=1-678...`).
        accept: The Accept header; heeded when the attributes have no `response_format`.
        defaults: What holds where the caller says nothing.

    Raises:
        NotAudio: The body is empty.
        MalformedRequest: An option is unknown or ill-formed.
        UnsupportedOption: A stream was asked for in a form that is not streamed.
        UnacceptableFormat: None of the forms in `accept` can be given.
    """
    if upload.size_bytes == 0:
        raise NotAudio("the body is empty: send the bytes of an audio file, or JSON with 's3_uri' or 'audio_b64'")
    fields = validated(OptionFields, _options(attributes or ""))
    return job_of(fields, source=upload, accept=accept, defaults=defaults)


def _options(attributes: str) -> dict[str, object]:
    if len(attributes) > LONGEST_ATTRIBUTES:
        raise MalformedRequest(
            f"{CUSTOM_ATTRIBUTES} has {len(attributes)} characters, but may have at most {LONGEST_ATTRIBUTES}"
        )
    if not attributes.isascii():
        raise MalformedRequest(
            f"{CUSTOM_ATTRIBUTES} holds characters beyond ASCII; write them percent-encoded, such as %C3%A9"
        )
    known = list(OptionFields.model_fields)
    options: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in attributes.split(";"))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in known and _is_foreign(name, has_value=bool(equals), known=known):
            continue
        if name not in known:
            raise MalformedRequest(f"{CUSTOM_ATTRIBUTES}: {unknown(name, known)}")
        if not equals:
            raise MalformedRequest(f"{CUSTOM_ATTRIBUTES} has '{name}' without a value; write {name}=value")
        if name in options:
            raise MalformedRequest(f"{CUSTOM_ATTRIBUTES} has '{name}' more than once")
        options[name] = typed(name, _unescaped(name, value))
    return options


def _is_foreign(name: str, *, has_value: bool, known: list[str]) -> bool:
    """Tell somebody else's part of the header from a slip of the pen."""
    if name in FOREIGN:
        return True
    return closest(name, known) is None and not (has_value and _OUR_SPELLING.fullmatch(name))


def _unescaped(name: str, value: str) -> str:
    if _LONE_PERCENT.search(value):
        raise MalformedRequest(f"'{name}' is {shown(value)} with a lone percent sign; write it %25")
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"'{name}' is {shown(value)}, which is not UTF-8, percent-encoded") from error
