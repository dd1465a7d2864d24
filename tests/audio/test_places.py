from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.places import Place, refuse
from transcriber.audio.sources import S3Object
from transcriber.errors import InvalidSettings, SourceForbidden
from transcriber.settings import load

KEYS = st.text(st.sampled_from("ab/.*%2e "), min_size=1, max_size=8)


def is_allowed(entries: str, key: str, bucket: str = "calls") -> bool:
    places = [Place.parse(entry) for entry in load({"ALLOWED_S3_PREFIXES": entries}).s3_places]
    try:
        refuse(S3Object(bucket=bucket, key=key), places)
    except SourceForbidden:
        return False
    return True


@pytest.mark.parametrize(
    ("entries", "key", "expected"),
    [
        ("", "anything", True),
        ("s3://calls", "anything/at/all", True),
        ("s3://calls/", "anything/at/all", True),
        ("s3://calls/a", "a", True),
        ("s3://calls/a", "a/b", True),
        ("s3://calls/a", "ab", False),
        ("s3://calls/a", "b/a", False),
        ("s3://calls/a", "A", False),
        ("s3://calls/a/", "a/b/c", True),
        ("s3://calls/a/", "ab", False),
        ("s3://calls/a*", "a", True),
        ("s3://calls/a*", "ab", True),
        ("s3://calls/a*", "b", False),
        ("s3://calls/2026-*", "2026-11/monday.mp3", True),
        ("s3://calls/*", "anything", True),
        ("s3://calls//", "/a", True),
        ("s3://calls//", "a", False),
        ("s3://calls/a//", "a/b", False),
        ("s3://calls/a/", "a/../b", False),
        ("s3://calls/a/", "a/./b", False),
        ("s3://calls/a/", "a/..", False),
        ("s3://calls/", "..", False),
        ("s3://calls/a/", "a/..b", True),
        ("s3://calls/a/", "a/%2e%2e/b", True),  # these are the key's own letters, which S3 does not unescape
        ("s3://calls/a/", "%61/b", False),
        ("s3://calls/a%2Fb/", "a/b/c", False),
        ("s3://calls/a b/", "a b/c", True),
        ("s3://other, s3://calls/a/", "a/b", True),
        ("s3://other, ,s3://calls/a/,", "b", False),
        ("s3://call", "a", False),
        ("s3://callsandmore", "a", False),
    ],
)
def test_an_entry_means_a_bucket_a_folder_or_what_begins_like_it(entries: str, key: str, expected: bool) -> None:
    assert is_allowed(entries, key) is expected


@given(folder=KEYS, key=KEYS)
def test_nothing_outside_a_folder_is_allowed(folder: str, key: str) -> None:
    place = Place(bucket="calls", start=folder, is_folder=True)

    if place.has(S3Object(bucket="calls", key=key)):
        assert (key + "/").startswith(folder + "/")
        assert ".." not in key.split("/")
    assert not place.has(S3Object(bucket="calls2", key=key))


@given(place=KEYS, key=KEYS)
def test_a_star_allows_all_that_the_folder_does(place: str, key: str) -> None:
    asked = S3Object(bucket="calls", key=key)

    if Place.parse(f"s3://calls/{place.replace('*', '')}").has(asked):
        assert Place.parse(f"s3://calls/{place.replace('*', '').removesuffix('/')}*").has(asked)


@pytest.mark.parametrize(
    "entries",
    [
        "calls",
        "https://calls/a",
        "S3://calls/a",
        "s3://",
        "s3://ca",
        "s3://Calls/a",
        "s3://calls*",
        "s3://ca*ls/a",
        "s3://calls/a*b",
        "s3://calls/../a",
        "s3://calls/a/.",
        "s3://calls/a;s3://calls/b",
    ],
)
def test_what_is_no_place_stops_the_start(entries: str) -> None:
    if ";" in entries:  # a semicolon is a letter of a key: the entry is one folder, and allows neither of two
        assert not is_allowed(entries, "b")
        return
    with pytest.raises(InvalidSettings, match="ALLOWED_S3_PREFIXES"):
        load({"ALLOWED_S3_PREFIXES": entries})


def test_the_refusal_names_what_the_caller_said_and_no_place() -> None:
    with pytest.raises(SourceForbidden) as refusal:
        refuse(S3Object(bucket="calls", key="b"), [Place.parse("s3://calls/the-other-customer/")])

    assert "s3://calls/b" in refusal.value.message
    assert "other-customer" not in refusal.value.message
