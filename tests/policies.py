"""IAM policies as the tests read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

Statement = dict[str, Any]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def grants(statements: Iterable[Statement]) -> Iterator[tuple[str, str]]:
    """Yield each action with each resource that it is allowed on."""
    for statement in statements:
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                yield action, resource
