"""What the service refuses although botocore sends it: maxima, enumerations and patterns of the service model.

botocore itself checks types, required members and minima only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

JAVA_CLASSES = {
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"[\p{Print}]": r"[\x20-\x7e]",
    r"\p{L}\p{Z}\p{N}": r"\w\s",
    r"\z": r"\Z",
}
"""What the service model's patterns use and Python's do not know."""


@cache
def operation(service: str, name: str) -> OperationModel | None:
    """Return one operation of the service model that botocore carries, or None if it has no such operation."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"))
    return model.operation_model(name) if name in model.operation_names else None


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON of any shape
    """Yield each way in which a value breaks the service model, in the service's own words."""
    if shape.type_name == "structure":
        yield from _structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _size(shape, len(value), value, path, "length")
        member: Shape = shape.member  # type: ignore[attr-defined] # only list shapes have it
        for number, item in enumerate(value, start=1):
            yield from violations(member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        yield from _size(shape, len(value), value, path, "length")
    elif shape.type_name == "string":
        yield from _string(shape, str(value), path)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        yield from _size(shape, value, value, path, "value")


def summary(found: list[str]) -> str:
    """Join violations as the service does."""
    return f"{len(found)} validation error{'s' * (len(found) > 1)} detected: " + "; ".join(found)


def _structure(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    members: Mapping[str, Shape] = shape.members  # type: ignore[attr-defined] # only structures have it
    for name in shape.metadata.get("required", []):
        if name not in value:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name in members and item is not None:
            yield from violations(members[name], item, _join(path, name))


def _string(shape: Shape, value: str, path: str) -> Iterator[str]:
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield _broken(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield _broken(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    yield from _size(shape, len(value), value, path, "length")


def _size(shape: Shape, size: float, value: object, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _broken(value, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _broken(value, path, f"Member must have {what} less than or equal to {most}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


def _broken(value: object, path: str, constraint: str) -> str:
    shown = str(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
