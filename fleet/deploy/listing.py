"""A plan as people and as programs read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from fleet.deploy.steps import Call, PolicyArn, Step, Wait

UNTOLD = frozenset({"Tags", "ServiceNamespace", "ScalableDimension", "VariantName", "InitialVariantWeight"})
"""Parameters that are the same in every plan; the JSON has them."""


def as_text(steps: Sequence[Step]) -> str:
    """Return numbered steps: what happens to what, with which parameters, and why."""
    return "\n".join(line for number, step in enumerate(steps, start=1) for line in _lines(number, step))


def as_json(steps: Sequence[Step]) -> str:
    """Return the steps as a JSON array, calls with the parameters that are sent."""
    return json.dumps([_record(number, step) for number, step in enumerate(steps, start=1)], indent=2)


def _lines(number: int, step: Step) -> Iterator[str]:
    match step:
        case Call():
            yield f"{number:>3}. {step.operation}: {step.what}"
            yield f"     why: {step.why}"
            if not step.removes:
                yield from (f"     {name} = {value}" for name, value in _told(step.parameters, step.what))
        case Wait():
            yield f"{number:>3}. wait until {step.endpoint} is {step.end}, {step.limit_s // 60} minutes at most"
            yield f"     why: {step.why}"
        case _:
            assert_never(step)


def _told(parameters: Mapping[str, Any], what: str) -> Iterator[tuple[str, str]]:
    for path, value in _flat(parameters):
        name = path.rpartition(".")[2]
        if path.split(".")[0] in UNTOLD or name in UNTOLD or (name.endswith("Name") and what.endswith(str(value))):
            continue
        yield _short(path), str(value)


def _short(path: str) -> str:
    """Return the end of a path that tells what is meant: the name, and of which list or mapping of ours."""
    parts = path.split(".")
    return ".".join(parts[-2:]) if parts[-2:-1] in (["Environment"], ["Dimensions"]) else parts[-1]


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    match value:
        case PolicyArn():
            yield path, f"the ARN of {value.policy}"
        case Mapping():
            for key, item in value.items():
                yield from _flat(item, f"{path}.{key}" if path else key)
        case list():
            for item in value:
                yield from _flat(item, path)
        case _:
            yield path, value


def _record(number: int, step: Step) -> dict[str, Any]:
    match step:
        case Call():
            return {
                "number": number,
                "service": step.service,
                "operation": step.operation,
                "parameters": _plain(step.parameters),
                "what": step.what,
                "why": step.why,
            }
        case Wait():
            return {"number": number, "wait_for": step.endpoint, "until": step.until, "why": step.why}
        case _:
            assert_never(step)


def _plain(value: object) -> object:
    match value:
        case PolicyArn():
            return f"<PolicyARN of {value.policy}>"
        case Mapping():
            return {key: _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value
