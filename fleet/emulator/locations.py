"""Names of objects in S3."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.emulator.refusals import InvalidInvocation


@dataclass(frozen=True, slots=True)
class Location:
    """An object, or a prefix that ends with a slash or is empty."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def below(self, name: str) -> Location:
        """Return the object `name` in this folder."""
        folder = self.key.strip("/")
        return Location(self.bucket, f"{folder}/{name}" if folder else name)


def parse(uri: str) -> Location:
    """Understand `s3://bucket/key`, or the https form with the bucket in the path.

    Raises:
        InvalidInvocation: It is neither.
    """
    scheme, _, rest = uri.partition("://")
    if scheme == "https":
        rest = rest.partition("/")[2]
    bucket, _, key = rest.partition("/")
    if scheme not in {"s3", "https"} or not bucket:
        raise InvalidInvocation(f"{uri!r} is not the address of an object; write s3://bucket/key")
    return Location(bucket, key)


def transformed(key: str, *, prefix: str, output: Location) -> Location:
    """Return where batch transform puts the result of one object.

    Example:
        >>> str(transformed("in/de/a.wav", prefix="in/", output=Location("b", "out")))
        's3://b/out/de/a.wav.out'
    """
    folder = prefix[: prefix.rfind("/") + 1]
    return output.below(f"{key.removeprefix(folder)}.out")
