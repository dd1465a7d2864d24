from __future__ import annotations

from collections.abc import Iterator

import app
from transcriber import errors
from transcriber.errors import Kind, TranscriberError


def tree(cls: type[TranscriberError] = TranscriberError) -> Iterator[type[TranscriberError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from tree(child)


def test_every_failure_has_a_slug_of_its_own() -> None:
    slugs = [cls.slug for cls in tree()]

    assert len(slugs) == len(set(slugs))


def test_every_failure_stands_in_the_drawing() -> None:
    assert errors.__doc__ is not None
    for cls in tree():
        assert cls.__name__ in errors.__doc__


def test_every_kind_has_a_status() -> None:
    assert set(app.STATUS) == set(Kind)
    assert len(set(app.STATUS.values())) == len(Kind)
