"""The bytes of a JSON body -> one object with every name once, bounded in memory."""

from __future__ import annotations

import json
from collections import Counter
from typing import NoReturn

from transcriber.errors import MalformedRequest, TooLarge
from transcriber.wire.fields import shown

MOST_VALUES = 4_000_000
"""Values in one body. Python keeps each in up to some 40 bytes, however short it is on the wire, so that without a
bound a body of 128 MB could take gigabytes. As samples they are four minutes at 16 kHz, and as text about the 25 MB
that a real-time endpoint takes."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read(body: bytes) -> dict[str, object]:
    """Read a body.

    Args:
        body: The whole body, UTF-8.

    Raises:
        MalformedRequest: It is no JSON object in UTF-8, or has a name twice.
        TooLarge: It may hold more than `MOST_VALUES` values.
    """
    if not body or body.isspace():
        raise MalformedRequest("the body is empty: send a JSON object with 's3_uri' or 'audio_b64'")
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > MOST_VALUES:
        raise TooLarge(
            f"the body holds more than {MOST_VALUES:,} commas and brackets, more values than this container reads; "
            "send the bytes of an audio file instead of its samples"
        )
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
