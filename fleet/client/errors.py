"""What keeps an errand from being done.

- CannotCall      AWS, the endpoint or the container refuses, or does not answer
    - Failed      the container failed on this one recording; others may succeed
    - Misused     the command line cannot be followed; nothing was sent
"""

from __future__ import annotations


class CannotCall(Exception):
    """The message is one sentence that says what happened and what to do."""


class Failed(CannotCall):
    """What the container says of one recording, or that its answer broke off."""


class Misused(CannotCall):
    """What was asked for cannot be: a file that is not there, an option that makes no sense."""
