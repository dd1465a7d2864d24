"""What callers of the endpoints may name."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.deploy.desired import ALLOWED, FOLDER, CannotDeploy


def allowing(environment: Mapping[str, str], inputs: str | None) -> Mapping[str, str]:
    """Return an environment in which callers may name what lies in the inputs' place, and nothing else in S3.

    Without that, whoever may call the endpoint can have everything transcribed that its role may read. What the
    environment itself says of ALLOWED_S3_PREFIXES stays, an empty value too.

    Raises:
        CannotDeploy: The inputs' place is none in S3.
    """
    if inputs is None or ALLOWED in environment:
        return environment
    if not FOLDER.fullmatch(inputs):
        raise CannotDeploy(f"{inputs} is not a place in S3; it looks like s3://bucket/folder/")
    return {**environment, ALLOWED: inputs}
