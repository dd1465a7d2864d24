"""Which dialect a JSON body is in, told by the one field that holds or names its audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from transcriber.errors import MalformedRequest
from transcriber.wire import hugging_face, jumpstart, parakeet, voxtral
from transcriber.wire.job import Job

FOREIGN: MappingProxyType[str, Callable[..., Job]] = MappingProxyType(
    {
        jumpstart.MARK: jumpstart.parse,
        hugging_face.MARK: hugging_face.parse,
        voxtral.MARK: voxtral.parse,
        parakeet.MARK: parakeet.parse,
    }
)
"""Marks of the dialects other than our own -> what understands them."""

OURS = ("s3_uri", "audio_b64")


def parser_for(given: Mapping[str, object]) -> Callable[..., Job] | None:
    """Choose what understands a body; None for our own dialect, which is also that of a body without any mark.

    Raises:
        MalformedRequest: Two dialects are mixed.
    """
    foreign = [mark for mark in FOREIGN if mark in given]
    marks = [*foreign, *(mark for mark in OURS if foreign and mark in given)]
    if len(marks) > 1:
        both = " and ".join(f"'{mark}'" for mark in marks)
        raise MalformedRequest(
            f"the body has {both}, which belong to different dialects: give the audio in one field only; "
            "docs/http.md lists the dialects"
        )
    return FOREIGN[foreign[0]] if foreign else None
