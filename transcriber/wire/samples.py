"""Samples written as numbers in JSON -> the bytes of a WAV file."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from transcriber.audio.decode import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from transcriber.audio.sources import InlineBytes
from transcriber.audio.waveform import RATE_HZ
from transcriber.errors import MalformedRequest, NotAudio
from transcriber.wire.fields import Fields, shown, validated

ACCEPTED = "whole numbers from -32768 to 32767, or numbers with a point from -1.0 to 1.0"

_PCM, _FLOAT = 1, 3
"""Formats of samples in WAV."""


class SampleFields(Fields):
    """Samples as an object; `array` is another name of `raw`."""

    sampling_rate: int = Field(
        ge=LOWEST_RATE_HZ,
        le=HIGHEST_RATE_HZ,
        description=f"a whole number of samples per second, from {LOWEST_RATE_HZ:,} to {HIGHEST_RATE_HZ:,}",
    )
    raw: str | list[object] | None = Field(default=None, description=f"a list of {ACCEPTED}, or such a list as text")
    array: list[object] | None = Field(default=None, description=f"a list of {ACCEPTED}")


def source_of(value: dict[str, object] | list[object], *, field: str) -> InlineBytes:
    """Understand samples: a list at 16 kHz, or an object with their rate.

    Raises:
        MalformedRequest: It is no list of samples; the message names the first that is none.
        NotAudio: There are no samples.
    """
    if isinstance(value, list):
        return wav_of(value, rate_hz=RATE_HZ, field=field)
    given = validated(SampleFields, value, within=field)
    match given.raw, given.array:
        case str(text), None:
            return wav_of(_listed(text, field=f"{field}.raw"), rate_hz=given.sampling_rate, field=f"{field}.raw")
        case list(samples), None:
            return wav_of(samples, rate_hz=given.sampling_rate, field=f"{field}.raw")
        case None, list(samples):
            return wav_of(samples, rate_hz=given.sampling_rate, field=f"{field}.array")
        case _:
            raise MalformedRequest(f"'{field}' must have its samples in 'raw', and only there")


def wav_of(samples: Sequence[object], *, rate_hz: int, field: str) -> InlineBytes:
    """Write samples as a WAV file: whole numbers in 16 bits, others as floats of full scale 1.0.

    Args:
        samples: As JSON gave them.
        rate_hz: Samples per second.
        field: The name of the field they came in, for messages.

    Raises:
        MalformedRequest: One of them is no number, or out of range.
        NotAudio: There are none.
    """
    if not samples:
        raise NotAudio(f"'{field}' has no samples; send the samples of a recording, or the bytes of an audio file")
    kinds = set(map(type, samples))
    if kinds == {int}:
        lowest, highest, tag, kind = -32768, 32767, _PCM, "<i2"
    elif kinds <= {int, float}:
        lowest, highest, tag, kind = -1, 1, _FLOAT, "<f4"
    else:
        place = next(place for place, sample in enumerate(samples) if type(sample) not in (int, float))
        raise _stranger(samples, place, field)
    # The numbers are compared as Python's: no array holds all of those that JSON can write.
    if min(samples) < lowest or max(samples) > highest:  # type: ignore[type-var, operator]  # numbers, as just seen
        place = next(place for place, sample in enumerate(samples) if not lowest <= sample <= highest)  # type: ignore[operator]
        raise _stranger(samples, place, field)
    data = np.array(samples, dtype=kind).tobytes()
    size = np.dtype(kind).itemsize
    head = struct.pack(
        "<4sIHHIIHH4sI", b"fmt ", 16, tag, 1, rate_hz, rate_hz * size, size, 8 * size, b"data", len(data)
    )
    return InlineBytes(data=struct.pack("<4sI4s", b"RIFF", 4 + len(head) + len(data), b"WAVE") + head + data)


def _stranger(samples: Sequence[object], place: int, field: str) -> MalformedRequest:
    return MalformedRequest(f"'{field}' has {shown(samples[place])} in place {place:,}, but must hold {ACCEPTED}")


def _listed(text: str, *, field: str) -> list[object]:
    """Read the text that Python prints for a list of numbers, which is JSON."""
    try:
        found = json.loads(text, parse_constant=int)  # which refuses NaN and Infinity
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise MalformedRequest(f"'{field}' is no list of samples, but must be like \"[0, 1, -3]\", with none left out")
    return found
