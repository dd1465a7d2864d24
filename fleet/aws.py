"""AWS's words as one sentence: what every room says alike when AWS refuses or cannot be reached."""

from __future__ import annotations

import boto3
from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

LONGEST_MESSAGE = 400
"""Characters of AWS's own words that are passed on."""

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
"""Codes of refusals for want of a permission."""

CREDENTIAL_ERRORS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
)


def sentence(words: str) -> str:
    """Return somebody's words as one line of bounded length without a full stop."""
    line = " ".join(words.split()).rstrip(". ")
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}..."


def unanswered(error: BotoCoreError, region: str, *, hint: str = "") -> str:
    """Say why a call never got an answer.

    Args:
        error: What botocore raised.
        region: Where the call went.
        hint: What else there is to do when credentials are what lacks.
    """
    why = sentence(str(error))
    if isinstance(error, CREDENTIAL_ERRORS):
        return (
            f"there are no AWS credentials that work ({why}); run aws configure or aws sso login, or set "
            f"AWS_PROFILE{hint}"
        )
    if isinstance(error, EndpointConnectionError):
        return f"{why}; is {region} a region, and is there a network?"
    return why


def session_in(region: str | None, *, refused: type[Exception]) -> boto3.Session:
    """Return boto3's session in a region, that of the AWS configuration for None.

    Args:
        region: AWS's name of it.
        refused: What is raised, with one sentence, when there is no region or the configuration cannot be read.
    """
    try:
        session = boto3.Session(region_name=region)
    except BotoCoreError as error:
        raise refused(sentence(str(error))) from error
    if session.region_name is None:
        raise refused("no region is set; add --region, such as --region eu-central-1")
    return session
