"""Which objects in S3 callers may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transcriber.audio.sources import S3Object
from transcriber.errors import SourceForbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One entry of ALLOWED_S3_PREFIXES.

    Attributes:
        bucket: Its name.
        start: What keys begin with; empty for the whole bucket.
        is_folder: Whether `start` is the name of a folder, or of one object, and not only letters.
    """

    bucket: str
    start: str
    is_folder: bool

    @classmethod
    def parse(cls, entry: str) -> Place:
        """Read an entry that `Settings` has let through.

        A folder is meant with and without its last slash: `s3://b/a` has `s3://b/a/x` and the object `s3://b/a`, and
        not `s3://b/ab`. A star at the end means whatever goes on like that: `s3://b/a*` has them all. Letters mean
        themselves, as in S3: there are no escapes.
        """
        bucket, _, start = entry.removeprefix("s3://").partition("/")
        if start.endswith("*"):
            return cls(bucket=bucket, start=start[:-1], is_folder=False)
        return cls(bucket=bucket, start=start.removesuffix("/"), is_folder=bool(start))

    def has(self, asked: S3Object) -> bool:
        """Tell whether the object lies here."""
        if asked.bucket != self.bucket or {".", ".."} & set(asked.key.split("/")):
            return False
        if not self.is_folder:
            return asked.key.startswith(self.start)
        return asked.key == self.start or asked.key.startswith(f"{self.start}/")


def refuse(asked: S3Object, places: Sequence[Place]) -> None:
    """Refuse what lies in none of the places; without any place everything may be asked for.

    Raises:
        SourceForbidden: It names only what the caller has named: the places may be another caller's, and whether
            there is such an object has not been asked.
    """
    if places and not any(place.has(asked) for place in places):
        raise SourceForbidden(
            f"{asked.uri} lies outside the places that this container may be asked for (ALLOWED_S3_PREFIXES); put the "
            "object where its operator says, or send the audio in the request"
        )
