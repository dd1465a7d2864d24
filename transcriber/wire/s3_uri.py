"""s3://bucket/key -> where the object is."""

from __future__ import annotations

import re

from transcriber.audio.sources import S3Object
from transcriber.errors import MalformedRequest

LONGEST_KEY = 1024
"""Bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects")."""

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)


def parse(uri: str, *, field: str = "s3_uri") -> S3Object:
    """Split an address into bucket and key.

    The key is everything after the bucket's slash, as it stands: `?`, `#`, `%` and spaces are letters like others, for
    S3 has no query in an address and no escapes in a key.

    Args:
        uri: As the caller wrote it.
        field: The name of the field it came in, for messages.

    Raises:
        MalformedRequest: It is not s3://bucket/key, the bucket's name breaks S3's rules, or the key is empty, too long
            or has a step of dots.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme != "s3" or not separator:
        # Addresses of the web may carry signatures, so no more of them is repeated.
        came = f"has the scheme {scheme[:10]!r}" if separator else "is no address"
        raise MalformedRequest(f"'{field}' {came}, but must be like s3://bucket/key")
    bucket, _, key = rest.partition("/")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket or _IP_ADDRESS.fullmatch(bucket):
        raise MalformedRequest(
            f"'{field}' names the bucket {bucket[:63]!r}, but a bucket has 3 to 63 lower-case letters, digits, dots "
            "and hyphens, begins and ends with a letter or digit, and is no IP address"
        )
    size_bytes = len(key.encode())
    if not key:
        raise MalformedRequest(f"'{field}' names the bucket {bucket!r} but no key; it must be like s3://bucket/key")
    if size_bytes > LONGEST_KEY:
        raise MalformedRequest(f"'{field}' has a key of {size_bytes} bytes, but S3 keys have at most {LONGEST_KEY}")
    if {".", ".."} & set(key.split("/")):
        # HTTP clients resolve such steps, and the object that is asked for would be another one.
        raise MalformedRequest(
            f"'{field}' has '.' or '..' between the slashes of its key, which S3 cannot be asked for"
        )
    return S3Object(bucket=bucket, key=key)
