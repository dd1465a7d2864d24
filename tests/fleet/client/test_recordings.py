from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.client.errors import CannotCall, Misused
from fleet.client.recordings import LocalFile, S3Object, Shelf, folder_of, names_in, recording_of
from tests.fleet.client.fakes import S3, refusal

REGION = "eu-central-1"


class Listing(S3):
    """S3 that can be listed, two objects to a page."""

    def get_paginator(self, _operation: str) -> Any:
        return self

    def paginate(self, Bucket: str, Prefix: str) -> Any:  # noqa: N803 - boto3's names
        self._refuse("ListObjectsV2")
        start = f"s3://{Bucket}/"
        keys = [one.removeprefix(start) for one in self.objects if one.startswith(f"{start}{Prefix}")]
        for number in range(0, len(keys), 2):
            yield {"Contents": [{"Key": key, "Size": 1} for key in keys[number : number + 2]]}
        yield {}


@pytest.fixture
def listing(clock: Any) -> Listing:
    listing = Listing(clock)
    for key in ("in/", "in/a.wav", "in/b.wav", "in/deep/c.wav", "other.wav"):
        listing.put(f"s3://bucket/{key}", b"sound")
    return listing


def find(s3: S3, *named: str, at_most: int = 10, limit_bytes: int = 100) -> list[str]:
    shelf = Shelf(s3=s3, region=REGION)
    return [str(one) for one in shelf.find(named, at_most=at_most, limit_bytes=limit_bytes)]


def test_a_folder_of_s3_is_everything_below_it_but_the_consoles_folders(listing: Listing) -> None:
    assert find(listing, "s3://bucket/in/") == [f"s3://bucket/in/{key}" for key in ("a.wav", "b.wav", "deep/c.wav")]


def test_files_and_objects_keep_their_order(listing: Listing, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")

    assert find(listing, "s3://bucket/other.wav", str(tmp_path / "x.wav")) == [
        "s3://bucket/other.wav",
        str(tmp_path / "x.wav"),
    ]


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("s3://bucket/none", "there is no object s3://bucket/none"),
        ("s3://bucket/none/", "there is no object below s3://bucket/none/"),
        ("s3://bucket", "is a folder of S3"),
        ("s3://B_cket/a", "write s3://bucket/key"),
        ("https://bucket/a", "write s3://bucket/key"),
        ("/nowhere/a.wav", "cannot be read .No such file or directory."),
        ("/", "is a folder; name the recordings in it"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_submitted(listing: Listing, named: str, sentence: str) -> None:
    with pytest.raises(Misused, match=sentence):
        find(listing, "s3://bucket/other.wav", named)


def test_a_whole_bucket_is_not_submitted_by_a_slip(listing: Listing) -> None:
    with pytest.raises(Misused, match="more than 3 recordings"):
        find(listing, "s3://bucket/", at_most=3)


def test_a_recording_above_the_limit_is_refused_wherever_it_is(listing: Listing, tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound!")
    for named in ("s3://bucket/other.wav", str(tmp_path / "x.wav")):
        with pytest.raises(Misused, match="the limit is 4; cut it into parts"):
            find(listing, named, limit_bytes=4)


def test_what_we_may_not_look_at_the_endpoint_may(listing: Listing) -> None:
    listing.refuses["HeadObject"] = refusal("HeadObject", "403", "Forbidden", 403)

    assert find(listing, "s3://bucket/none") == ["s3://bucket/none"]


def test_expired_credentials_are_not_taken_for_a_missing_permission(listing: Listing) -> None:
    listing.refuses["HeadObject"] = refusal("HeadObject", "ExpiredToken", "", 403)

    with pytest.raises(CannotCall, match="does not accept your credentials"):
        find(listing, "s3://bucket/other.wav")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('[{"prefix": "s3://b/calls/"}, "a.wav", "b.wav"]', ["s3://b/calls/a.wav", "s3://b/calls/b.wav"]),
        ("\n s3://b/a.wav \n# not this one\nlocal.mp3\r\n", ["s3://b/a.wav", "local.mp3"]),
    ],
)
def test_a_manifest_is_sagemakers_or_has_a_name_in_each_line(text: str, names: list[str]) -> None:
    assert names_in(text) == names


@pytest.mark.parametrize("text", ["", "# nothing", "[", "[]", '["a"]', '[{"prefix": "s3://b/"}, 5]', '[{"x": 1}, "a"]'])
def test_a_manifest_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(Misused, match="the manifest"):
        names_in(text)


def test_a_manifest_may_lie_here_or_in_s3(listing: Listing, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("a.wav")
    listing.put("s3://bucket/list", b"b.wav")
    listing.put("s3://bucket/sound", b"\xff\xfe")
    shelf = Shelf(s3=listing, region=REGION)

    assert shelf.manifest(str(tmp_path / "list")) + shelf.manifest("s3://bucket/list") == ["a.wav", "b.wav"]
    with pytest.raises(Misused, match="is no text"):
        shelf.manifest("s3://bucket/sound")


@pytest.mark.parametrize(
    ("named", "key"), [("bucket", ""), ("s3://bucket/", ""), ("bucket/a//b/", "a/b/"), ("s3://bucket/a", "a/")]
)
def test_a_folder_ends_with_a_slash_or_is_the_bucket(named: str, key: str) -> None:
    assert folder_of(named, "--bucket") == S3Object("bucket", key)


def test_a_bucket_that_cannot_be_is_refused() -> None:
    with pytest.raises(Misused, match="--bucket My Bucket is no bucket"):
        folder_of("My Bucket", "--bucket")


def test_a_file_is_measured(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"sound")

    assert recording_of(str(tmp_path / "x.wav")) == LocalFile(tmp_path / "x.wav", 5)
