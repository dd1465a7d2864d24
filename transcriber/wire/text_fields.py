"""Options written as text, in a header or a form -> the values they would be in JSON."""

from __future__ import annotations

import json

TEXTS = frozenset(
    {"task", "language", "initial_prompt", "hotwords", "response_format", "prompt", "model", "chunking_strategy"}
)
"""Fields whose value is the text itself."""


def typed(name: str, text: str) -> object:
    """Read a value as JSON would write it: 5, 0.2, true, null; numbers with commas between them are a list.

    What is none of these stays text, and the field's own rule refuses it, naming the field.

    Example:
        >>> typed("temperature", "0,0.4"), typed("vad_filter", "True"), typed("beam_size", "many")
        ([0, 0.4], True, 'many')
    """
    if name in TEXTS:
        return text
    literal = text.strip().lower()
    try:
        return json.loads(f"[{literal}]" if "," in literal else literal)
    except (ValueError, RecursionError):
        return text
