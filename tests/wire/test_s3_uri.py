from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.audio.sources import S3Object
from transcriber.errors import MalformedRequest
from transcriber.wire import s3_uri


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://calls/monday.wav", "calls", "monday.wav"),
        ("s3://my.bucket-1/a/b c/ü.mp3", "my.bucket-1", "a/b c/ü.mp3"),
        ("s3://calls/what?versionId=3#top%20", "calls", "what?versionId=3#top%20"),
        ("s3://calls//twice//", "calls", "/twice//"),
        ("s3://calls/..wav", "calls", "..wav"),
        ("s3://calls/" + "k" * 1024, "calls", "k" * 1024),
        ("s3://alias-abc123-s3alias/k", "alias-abc123-s3alias", "k"),
    ],
)
def test_everything_after_the_bucket_is_the_key(uri: str, bucket: str, key: str) -> None:
    found = s3_uri.parse(uri)

    assert found == S3Object(bucket=bucket, key=key)
    assert found.uri == uri


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("", "no address"),
        ("calls/monday.wav", "no address"),
        ("https://calls.s3.amazonaws.com/k?X-Amz-Signature=secret", "'https'"),
        ("S3://calls/k", "'S3'"),
        ("s3://", "''"),
        ("s3:///k", "''"),
        ("s3://ab/k", "'ab'"),
        ("s3://" + "b" * 64 + "/k", "3 to 63"),
        ("s3://Calls/k", "'Calls'"),
        ("s3://my_calls/k", "'my_calls'"),
        ("s3://-calls/k", "'-calls'"),
        ("s3://calls./k", "'calls.'"),
        ("s3://my..calls/k", "'my..calls'"),
        ("s3://192.168.0.1/k", "no IP address"),
        ("s3://calls?x/k", "'calls?x'"),
        ("s3://calls:443/k", "'calls:443'"),
        ("s3://me@calls/k", "'me@calls'"),
        ("s3://calls", "no key"),
        ("s3://calls/", "no key"),
        ("s3://calls/" + "ü" * 513, "1026 bytes"),
        ("s3://calls/../other/k", "'..'"),
        ("s3://calls/a/./k", "'.'"),
    ],
)
def test_a_refusal_says_what_is_wrong(uri: str, fault: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        s3_uri.parse(uri)

    assert refusal.value.message.startswith("'s3_uri' ")
    assert fault in refusal.value.message
    assert "secret" not in refusal.value.message


@given(st.text(max_size=80, alphabet=st.characters(codec="utf-8")).map("s3://".__add__))
def test_what_is_taken_can_be_written_again(uri: str) -> None:
    with contextlib.suppress(MalformedRequest):
        assert s3_uri.parse(uri).uri == uri
