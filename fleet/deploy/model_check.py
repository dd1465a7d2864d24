"""Calls held against AWS's own description of its API, before any of them is sent.

botocore itself refuses unknown names, missing ones and wrong types. It does not look at maxima, patterns and closed
sets of values, and AWS would refuse those half-way through a plan.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import botocore
import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from fleet.deploy.steps import Call, PolicyArn

AnyShape = Any  # botocore's shapes; each kind has attributes of its own

SAMPLE_ARN = (
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:00000000-0000-0000-0000-000000000000:resource/"
    "sagemaker/endpoint/name/variant/name:policyName/name"
)
"""Stands for an ARN that is not known yet."""


def faults(calls: Sequence[Call]) -> tuple[str, ...]:
    """Return what AWS would refuse, each in one sentence; nothing if it would refuse nothing for its form."""
    return tuple(dict.fromkeys(fault for call in calls for fault in _faults(call)))


def _faults(call: Call) -> Iterator[str]:
    shape: AnyShape = _service(call.service).operation_model(call.operation).input_shape
    parameters = resolved(call.parameters, {})
    report = ParamValidator().validate(parameters, shape)
    if report.has_errors():
        yield f"{call.operation}: {report.generate_report()}"
        return
    yield from _limits(parameters, shape, "")


def resolved(value: object, arns: Mapping[str, str]) -> Any:  # noqa: ANN401 - as nested as boto3's requests
    """Return parameters with the ARNs of policies in the places of those who stand for them."""
    match value:
        case PolicyArn():
            return arns.get(value.policy, SAMPLE_ARN)
        case Mapping():
            return {key: resolved(item, arns) for key, item in value.items()}
        case list():
            return [resolved(item, arns) for item in value]
        case _:
            return value


def _limits(value: object, shape: AnyShape, path: str) -> Iterator[str]:
    match value:
        case Mapping() if shape.type_name == "structure":
            for key, item in value.items():
                yield from _limits(item, shape.members[key], f"{path}.{key}" if path else key)
        case Mapping():
            for key, item in value.items():
                yield from _limits(key, shape.key, path)
                yield from _limits(item, shape.value, f"{path}.{key}")
        case list():
            yield from _size(len(value), shape, path, "entries")
            for item in value:
                yield from _limits(item, shape.member, path)
        case str():
            yield from _text(value, shape, path)
        case bool():
            return
        case int() | float():
            yield from _size(value, shape, path, "")


def _text(value: str, shape: AnyShape, path: str) -> Iterator[str]:
    if closed := shape.metadata.get("enum"):
        if value not in closed:
            near = difflib.get_close_matches(value, closed, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            yield (
                f"{path}: AWS knows no {value}; {hint}if it is newer than botocore {botocore.__version__}, upgrade "
                "boto3"
            )
        return
    yield from _size(len(value), shape, path, "characters")
    pattern = shape.metadata.get("pattern")
    # Classes such as \p{L} are Java's and no concern of ours: they only widen what is allowed in tags.
    if pattern and r"\p" not in pattern and r"\u" not in pattern and not re.match(pattern, value):
        yield f"{path}: {value!r} is not of the form {pattern}"


def _size(value: float, shape: AnyShape, path: str, unit: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and value < least) or (most is not None and value > most):
        yield " ".join(
            f"{path}: {value:g} {unit} are not between {least if least is not None else 0} and {most or 'any'}".split()
        )


@cache
def _service(name: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(name)
