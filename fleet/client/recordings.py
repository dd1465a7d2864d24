"""What was named on the command line -> files and objects that are there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from fleet.client.aws import CONNECTIONS, asking, is_absent, is_silent
from fleet.client.errors import Misused

S3_URI = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", flags=re.DOTALL)
"""Bucket names: docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine that can be read."""

    path: Path
    size_bytes: int

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """Its last step."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object in S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """Its last step."""
        return self.key.rstrip("/").rpartition("/")[2]


Recording = LocalFile | S3Object


def recording_of(named: str, *, limit_bytes: int | None = None, instead: str = "") -> Recording:
    """Understand one name.

    Args:
        named: A path, or `s3://bucket/key`; an object is not looked at.
        limit_bytes: How large a file may be; None for no limit.
        instead: What to do with larger ones.

    Raises:
        Misused: The file cannot be read or is too large, or the name is none of an object.
    """
    if "://" in named:
        found = S3_URI.fullmatch(named)
        if found is None:
            raise Misused(f"{named} is not the address of an object; write s3://bucket/key")
        if not found["key"] or found["key"].endswith("/"):
            raise Misused(f"{named} is a folder of S3; name one object, such as s3://{found['bucket']}/recording.mp3")
        return S3Object(found["bucket"], found["key"])
    path = Path(named)
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
    except IsADirectoryError:
        raise Misused(f"{named} is a folder; name the recordings in it, such as {named.rstrip('/')}/*.wav") from None
    except OSError as error:
        raise Misused(f"{named} cannot be read ({error.strerror}); check the name and its permissions") from error
    if limit_bytes is not None and size_bytes > limit_bytes:
        raise Misused(f"{named} has {size_bytes:,} bytes, and the limit is {limit_bytes:,}; {instead}")
    return LocalFile(path, size_bytes)


def folder_of(named: str, option: str) -> S3Object:
    """Understand a bucket with or without a folder; the key is empty or ends with a slash.

    Raises:
        Misused: It is neither.
    """
    found = S3_URI.fullmatch(named if "://" in named else f"s3://{named}")
    if found is None:
        raise Misused(f"{option} {named} is no bucket; write s3://bucket/folder/")
    key = "/".join(step for step in (found["key"] or "").split("/") if step)
    return S3Object(found["bucket"], f"{key}/" if key else "")


def names_in(manifest: str) -> list[str]:
    r"""Return what a manifest names: SageMaker's JSON, or one name in each line.

    Raises:
        Misused: It names nothing, or is JSON of another shape.

    Example:
        >>> names_in('[{"prefix": "s3://b/calls/"}, "a.wav"]'), names_in("a.wav\n# later: b.wav\n")
        (['s3://b/calls/a.wav'], ['a.wav'])
    """
    if manifest.lstrip().startswith("["):
        try:
            head, *rest = json.loads(manifest)
            names = [f"{head['prefix']}{name}" for name in rest if isinstance(name, str)]
        except (ValueError, TypeError, KeyError, IndexError):
            names, rest = [], [""]
        if len(names) != len(rest):
            raise Misused('the manifest is JSON, but not like [{"prefix": "s3://bucket/folder/"}, "a.wav", "b.wav"]')
    else:
        lines = (line.strip() for line in manifest.splitlines())
        names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise Misused("the manifest names no recording")
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """S3, as far as recordings are concerned."""

    s3: Any  # boto3's clients have no types of their own
    region: str

    def manifest(self, named: str) -> list[str]:
        """Return what a manifest on this machine or in S3 names.

        Raises:
            Misused: It cannot be read.
            CannotCall: S3 does not give it.
        """
        recording = recording_of(named)
        if isinstance(recording, LocalFile):
            content = recording.path.read_bytes()
        else:
            with asking(self.region, about=f"the manifest {recording}"):
                content = self.s3.get_object(Bucket=recording.bucket, Key=recording.key)["Body"].read()
        try:
            return names_in(content.decode())
        except UnicodeDecodeError as error:
            raise Misused(f"the manifest {named} is no text") from error

    def find(self, named: Sequence[str], *, at_most: int, limit_bytes: int) -> list[Recording]:
        """Return all that is named, folders of S3 taken apart, each looked at.

        Args:
            named: Paths, `s3://bucket/key`, and `s3://bucket/folder/` for everything below it.
            at_most: How many recordings there may be.
            limit_bytes: How large each may be.

        Raises:
            Misused: One is not there, is too large or cannot be read; or there are none, or too many.
            CannotCall: S3 refuses.
        """
        found: list[Recording] = []
        for name in named:
            folder = S3_URI.fullmatch(name)
            if folder and folder["key"] is not None and (not folder["key"] or folder["key"].endswith("/")):
                found += self._below(S3Object(folder["bucket"], folder["key"]), at_most - len(found))
            else:
                found.append(recording_of(name, limit_bytes=limit_bytes, instead="cut it into parts"))
            if len(found) > at_most:
                raise Misused(
                    f"there are more than {at_most} recordings; name fewer, or allow for more (--at-most, --jobs)"
                )
        if not found:
            raise Misused("no recording is named")
        objects = dict.fromkeys(recording for recording in found if isinstance(recording, S3Object))
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for fault in pool.map(lambda one: self._fault(one, limit_bytes), objects):
                if fault:
                    raise Misused(fault)
        return found

    def _below(self, folder: S3Object, at_most: int) -> list[Recording]:
        with asking(self.region, about=f"the bucket {folder.bucket}"):
            found: list[Recording] = []
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key):
                found += _objects(folder.bucket, page.get("Contents", []))
                if len(found) > at_most:
                    break
        if not found:
            raise Misused(f"there is no object below {folder}; check the bucket and the folder")
        return found

    def _fault(self, recording: S3Object, limit_bytes: int) -> str | None:
        """Return why an object cannot be a recording; None as well when we may not look, but the endpoint may."""
        with asking(self.region, about=f"the bucket {recording.bucket}"):
            try:
                size_bytes: int = self.s3.head_object(Bucket=recording.bucket, Key=recording.key)["ContentLength"]
            except ClientError as error:
                if is_absent(error):
                    return f"there is no object {recording}; check the bucket and the key"
                if is_silent(error):
                    return None
                raise
        if size_bytes > limit_bytes:
            return f"{recording} has {size_bytes:,} bytes, and the limit is {limit_bytes:,}; cut it into parts"
        return None


def _objects(bucket: str, contents: Iterable[dict[str, Any]]) -> Iterator[Recording]:
    """Leave out the empty objects that S3's console makes for folders."""
    return (S3Object(bucket, one["Key"]) for one in contents if not one["Key"].endswith("/"))
