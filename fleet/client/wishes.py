"""What is wanted of the container, as each way to call it carries it. docs/http.md has the names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

from fleet.client.errors import Misused

FORMS = ("json", "verbose_json", "text", "srt", "vtt")
ENDINGS = {"json": ".json", "verbose_json": ".json", "text": ".txt", "srt": ".srt", "vtt": ".vtt"}
"""Endings of the files that answers are kept in."""

STREAM = "application/jsonlines"
ATTRIBUTES_LENGTH = 1024
"""Characters of CustomAttributes (service model, sagemaker-runtime)."""

WORDS = frozenset({"language", "task", "response_format", "initial_prompt", "hotwords"})
"""Options that are text whatever they look like; the others are written as in JSON."""

PLAIN = "!#$&'()*+,/:=?@[]<>{}|^`\""
"""What stands for itself in CustomAttributes, besides letters, digits and -._~."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Options of one or many calls.

    Attributes:
        options: Names and values as in CustomAttributes: `("temperature", "0,0.4")`.
        is_stream: Whether segments shall come as soon as they are final.
    """

    options: tuple[tuple[str, str], ...] = ()
    is_stream: bool = False

    @property
    def form(self) -> str:
        """The form of the answer."""
        return dict(self.options).get("response_format", "json")

    @property
    def ending(self) -> str:
        """The ending of a file that holds the answer."""
        return ENDINGS.get(self.form, ".txt")

    @property
    def accept(self) -> str | None:
        """What the Accept header says; None for nothing."""
        return STREAM if self.is_stream else None

    @property
    def attributes(self) -> str:
        """Everything as CustomAttributes; empty for no wishes."""
        return ";".join(f"{name}={quote(value, safe=PLAIN)}" for name, value in self.options)

    @property
    def fields(self) -> dict[str, object]:
        """Everything as fields of a JSON body."""
        return {name: _value(name, text) for name, text in self.options}


def wishes_of(
    *,
    language: str | None = None,
    task: str | None = None,
    words: bool = False,
    form: str | None = None,
    more: tuple[str, ...] = (),
    stream: bool = False,
) -> Wishes:
    """Gather what a command line says.

    Args:
        language: Code or English name; None to have it detected.
        task: `transcribe` or `translate`; None for the container's default.
        words: Whether to find out when each word begins and ends.
        form: One of `FORMS`; None for the container's default.
        more: Other options, each as `name=value`.
        stream: See `Wishes`.

    Raises:
        Misused: An option has no value, is there twice, or cannot go with a stream; or all together are too long.
    """
    said = {"language": language, "task": task, "response_format": form, "word_timestamps": "true" if words else None}
    options = [(name, value) for name, value in said.items() if value is not None]
    for pair in more:
        name, sign, value = pair.partition("=")
        if not sign or not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise Misused(f"--option {pair} says nothing; it looks like --option beam_size=1")
        options.append((name, value))
    names = [name for name, _ in options]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise Misused(f"{twice} is given twice; say it once")
    wishes = Wishes(options=tuple(options), is_stream=stream)
    if wishes.form not in FORMS:
        raise Misused(f"response_format is {wishes.form}; it can be {', '.join(FORMS)}")
    if stream and wishes.form != "json":
        raise Misused(f"a stream carries its segments as json, not as {wishes.form}; leave one of the two out")
    if len(wishes.attributes) > ATTRIBUTES_LENGTH:
        raise Misused(
            f"the options take {len(wishes.attributes)} characters, and SageMaker hands on {ATTRIBUTES_LENGTH}; "
            "shorten the prompt or the hotwords"
        )
    return wishes


def _value(name: str, text: str) -> object:
    """Return an option's value for a JSON body.

    Example:
        >>> _value("temperature", "0,0.4"), _value("beam_size", "1"), _value("hotwords", "1")
        ([0, 0.4], 1, '1')
    """
    if name in WORDS:
        return text
    try:
        return json.loads(f"[{text}]" if "," in text else text)
    except ValueError:
        return text
