"""The first request of each length to a server that is to be measured."""

from __future__ import annotations

import json
from collections.abc import Mapping

from fleet.load.driver import complaint_of
from fleet.load.errors import CannotMeasure
from fleet.load.http_line import HttpLine
from fleet.load.plan import Recording
from fleet.load.sides import Side


def warm_up(side: Side, material: Mapping[int, tuple[Recording, ...]]) -> int:
    """Send one recording of each length and return how many words were heard: a server that hears nothing is fast.

    Raises:
        CannotMeasure: It refuses one, or hears nothing.
    """
    line = HttpLine(side.url)
    words = 0
    try:
        for length_s, cuts in material.items():
            reply = line.ask("POST", "/invocations", cuts[0].body)
            complaint = complaint_of(reply)
            heard = 0 if complaint else len(json.loads(reply.body)["text"].split())
            if not heard:
                raise CannotMeasure(f"{side.name} has no words for {length_s} s of speech: {complaint or 'empty text'}")
            words += heard
    finally:
        line.close()
    return words
