from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import fleet.client

MODULES = [f"fleet.client.{module.name}" for module in pkgutil.iter_modules(fleet.client.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_room_lists_its_files() -> None:
    listed = {line.split()[0] for line in (fleet.client.__doc__ or "").splitlines()[2:] if line.strip()}

    assert listed == {name.rpartition(".")[2] for name in MODULES} - {"errors"}
