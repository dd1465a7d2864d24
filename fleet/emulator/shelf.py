"""Things with names, in regions."""

from __future__ import annotations

from typing import Generic, TypeVar

from fleet.emulator.refusals import InvalidCall
from fleet.emulator.world import arn

Thing = TypeVar("Thing")


class Shelf(Generic[Thing]):
    """Things of one kind; complains in the control plane's own words.

    Args:
        kind: As it stands in an ARN.
        words: As it stands in a sentence; the kind itself when left out.
    """

    def __init__(self, kind: str, words: str = "") -> None:
        self._kind = kind
        self._words = words or kind
        self._things: dict[tuple[str, str], Thing] = {}

    def get(self, region: str, name: str) -> Thing:
        """Return a thing.

        Raises:
            InvalidCall: There is none of this name in this region.
        """
        thing = self.find(region, name)
        if thing is None:
            elsewhere = self.elsewhere(region, name)
            hint = f" There is one in {elsewhere}." if elsewhere else ""
            raise InvalidCall(f'Could not find {self._words} "{arn(region, self._kind, name)}".{hint}')
        return thing

    def find(self, region: str, name: str) -> Thing | None:
        """Return a thing, or None."""
        return self._things.get((region, name))

    def elsewhere(self, region: str, name: str) -> str:
        """Return another region that has a thing of this name, or nothing."""
        return next((other for other, named in self._things if named == name and other != region), "")

    def refuse_taken(self, region: str, name: str) -> None:
        """Complain if the name is taken.

        Raises:
            InvalidCall: It is.
        """
        if (region, name) in self._things:
            raise InvalidCall(f'Cannot create already existing {self._words} "{arn(region, self._kind, name)}".')

    def put(self, region: str, name: str, thing: Thing) -> None:
        """Keep a thing.

        Raises:
            InvalidCall: The name is taken.
        """
        self.refuse_taken(region, name)
        self._things[region, name] = thing

    def drop(self, region: str, name: str) -> None:
        """Keep it no longer."""
        self._things.pop((region, name), None)

    def all(self, region: str | None = None) -> list[Thing]:
        """Return all things, or those of one region."""
        return [thing for (where, _name), thing in self._things.items() if region in {None, where}]
