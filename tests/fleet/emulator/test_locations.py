from __future__ import annotations

import pytest

from fleet.emulator.locations import Location, parse, transformed
from fleet.emulator.refusals import InvalidInvocation


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/k/l.wav", Location("b", "k/l.wav")),
        ("s3://b", Location("b", "")),
        ("https://s3.eu-west-1.amazonaws.com/b/k", Location("b", "k")),
    ],
)
def test_addresses_are_understood(uri: str, expected: Location) -> None:
    assert parse(uri) == expected


@pytest.mark.parametrize("uri", ["b/k", "s3://", "ftp://b/k", ""])
def test_other_addresses_are_refused_with_the_form_wanted(uri: str) -> None:
    with pytest.raises(InvalidInvocation, match="write s3://bucket/key"):
        parse(uri)


@pytest.mark.parametrize(
    ("key", "prefix", "folder", "expected"),
    [
        ("in/a.wav", "in/", "out/", "s3://b/out/a.wav.out"),
        ("in/de/a.wav", "in/", "out", "s3://b/out/de/a.wav.out"),
        ("in/a.wav", "in/a", "out", "s3://b/out/a.wav.out"),
        ("a.wav", "", "", "s3://b/a.wav.out"),
    ],
)
def test_results_of_batch_transform_mirror_the_prefix(key: str, prefix: str, folder: str, expected: str) -> None:
    assert str(transformed(key, prefix=prefix, output=Location("b", folder))) == expected
