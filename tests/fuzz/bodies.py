"""Requests as hypothesis makes them: what a schema would not think of, much of it around a true recording."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.conftest import DATA
from transcriber.options import Dialect
from transcriber.wire.schemas import BODIES

RECORDING = DATA.joinpath("en-one-phrase.wav").read_bytes()
B64 = base64.b64encode(RECORDING).decode()
PATHS = {
    "/invocations": "POST",
    "/v1/audio/transcriptions": "POST",
    "/v1/audio/translations": "POST",
    "/v1/models": "GET",
    "/execution-parameters": "GET",
    "/ping": "GET",
    "/metrics": "GET",
}

TRUE_BODIES: dict[Dialect, dict[str, Any]] = {
    Dialect.OWN: {"audio_b64": B64, "beam_size": 1, "language": "en"},
    Dialect.JUMPSTART: {"audio_input": RECORDING.hex(), "language": "english", "num_beams": 1},
    Dialect.HUGGING_FACE: {"inputs": B64, "parameters": {"generate_kwargs": {"language": "en", "num_beams": 1}}},
    Dialect.VOXTRAL: {"transcription": {"audio": {"data": B64}, "language": "en"}},
    Dialect.PARAKEET: {"audio": {"data": B64}, "language": "en"},
}
"""A body of each dialect of JSON that is answered with words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request.

    Attributes:
        is_no_http: Whether gunicorn may refuse it before it is known which path it is for.
    """

    path: str = "/invocations"
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    is_no_http: bool = False


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(["auto", "en", "s3://recordings/plain/en-one-phrase.wav", "https://a.example/b", B64, "\ud800"])
    | st.sampled_from([10**400, -1, 2**63, 1e308, "-0", "NaN", "data:audio/wav;base64,", "../../etc/passwd"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    sorted({field.alias or name for model in BODIES.values() for name, field in model.model_fields.items()})
) | st.text(max_size=20)


@st.composite
def odd_bodies(draw: Callable[..., Any]) -> bytes:
    """A body that is true but for one to three of its fields, at any depth."""
    body = copy.deepcopy(TRUE_BODIES[draw(st.sampled_from(sorted(TRUE_BODIES)))])
    for _ in range(draw(st.integers(1, 3))):
        place = body
        while inner := [value for value in place.values() if isinstance(value, dict)]:
            if not draw(st.booleans()):
                break
            place = draw(st.sampled_from(inner))
        name = draw(st.sampled_from(sorted(place)) | names) if place else draw(names)
        if draw(st.integers(0, 4)):
            place[name] = draw(values)
        else:
            place.pop(name, None)
    return _json(body)


@st.composite
def odd_texts(draw: Callable[..., Any]) -> bytes:
    """A true body as text, with something put into it or cut out of it."""
    text = bytearray(_json(TRUE_BODIES[draw(st.sampled_from(sorted(TRUE_BODIES)))]))
    at = draw(st.integers(0, 60))
    text[at : at + draw(st.integers(0, 20))] = draw(st.binary(max_size=20))
    return bytes(text)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


deep = st.builds(
    lambda n, opening, closing: b'{"audio_input": ' + opening * n + closing * n + b"}",
    st.integers(1, 20_000),
    st.sampled_from([b"[", b'{"a":', b"[1,"]),
    st.sampled_from([b"]", b"}", b""]),
)

header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=200)
attributes = st.lists(
    st.tuples(
        names.filter(str.isascii),
        st.sampled_from(["true", "5", "null", "0,1", "%", "%00", "en", "NaN"]) | header_values,
    ),
    max_size=4,
).map(lambda pairs: ";".join(f"{name}={value}" for name, value in pairs))
types = st.sampled_from(
    ["application/json", "audio/wav", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "", ";"]
)


def _headers(**named: str) -> tuple[tuple[str, str], ...]:
    """Leave out what cannot be written into a header at all."""
    pairs = [(name.replace("_", "-"), value) for name, value in named.items()]
    return tuple(
        (name, value)
        for name, value in pairs
        if not any(ord(letter) < 0x20 or ord(letter) == 0x7F or ord(letter) > 0xFF for letter in value)
    )


def _form(parts: list[tuple[str, str | None, bytes]], boundary: str) -> bytes:
    lines = []
    for name, file_name, content in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        lines.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode("utf-8", "replace")
        )
        lines.append(content + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


small_values = scalars.map(lambda value: str(value).encode("utf-8", "replace"))
parts = st.lists(
    st.tuples(names, st.none(), small_values) | st.tuples(st.just("file"), st.text(max_size=9), st.just(RECORDING)),
    max_size=5,
)
forms = st.builds(
    lambda path, some, has_file, damage: Sent(
        path=path,
        headers=(("Content-Type", "multipart/form-data; boundary=b0"),),
        body=(_form(some + ([("file", "a.wav", RECORDING)] if has_file else []), "b0"))[damage:],
    ),
    st.sampled_from([path for path, method in PATHS.items() if method == "POST"]),
    parts,
    st.booleans(),
    st.sampled_from([0, 0, 0, 1, 9, 60]),
)

REQUESTS: dict[str, st.SearchStrategy[Sent]] = {
    "odd fields": st.builds(
        lambda body, kind: Sent(body=body, headers=_headers(Content_Type=kind)), odd_bodies(), types
    ),
    "odd text": st.builds(lambda body: Sent(body=body), odd_texts()),
    "any JSON": st.builds(
        lambda value, path: Sent(path=path, body=_json(value), headers=(("Content-Type", "application/json"),)),
        values,
        st.sampled_from(sorted(PATHS)),
    ),
    "deep JSON": st.builds(lambda body: Sent(body=body), deep),
    "any bytes": st.builds(
        lambda body, path, method, kind: Sent(path=path, method=method, body=body, headers=_headers(Content_Type=kind)),
        st.binary(max_size=3000),
        st.sampled_from(sorted(PATHS)) | st.just("/no/such/path"),
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
        types,
    ),
    "forms": forms,
    "headers": st.builds(
        lambda custom, accept, given: Sent(
            body=RECORDING,
            is_no_http=True,
            headers=_headers(
                X_Amzn_SageMaker_Custom_Attributes=custom, Accept=accept, X_Amzn_SageMaker_Inference_Id=given
            ),
        ),
        attributes,
        st.sampled_from(["*/*", "text/vtt", "application/json;q=2", "a/b", ",,;", "text/*;q=0"]) | header_values,
        header_values,
    ),
}
"""A kind of requests by its name."""
