from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcriber.errors import InvalidSettings, ModelUnavailable, RequestError, ServiceError, TranscriberError
from transcriber.observability.accounts import OUTCOMES, Account


def errors(root: type[TranscriberError] = TranscriberError) -> Iterator[type[TranscriberError]]:
    yield root
    for child in root.__subclasses__():
        yield from errors(child)


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: error.__name__)
def test_every_failure_that_a_caller_can_meet_is_an_outcome(error: type[TranscriberError]) -> None:
    never_answered = error in {RequestError, ServiceError} or error.slug in {
        InvalidSettings.slug,
        ModelUnavailable.slug,
        "startup_error",
    }

    assert (error.slug in OUTCOMES) is not never_answered


@given(slug=st.text(), is_gone=st.booleans())
def test_an_outcome_is_one_of_the_closed_set_whatever_was_noted(slug: str, is_gone: bool) -> None:
    account = Account(is_gone=is_gone)
    account.refuse(slug, "a sentence", is_ours=False)

    assert account.outcome in OUTCOMES


def test_the_first_failure_counts() -> None:
    account = Account()
    account.refuse("too_large", "first", is_ours=False)
    account.refuse("internal_error", "second", is_ours=True)

    assert (account.outcome, account.reason, account.is_ours) == ("too_large", "first", False)


@pytest.mark.parametrize(
    ("address", "reason", "told"),
    [
        (None, None, None),
        (None, "no address here", "no address here"),
        ("s3://a/b c.wav", "no object at s3://a/b c.wav (NoSuchKey)", "no object at the recording (NoSuchKey)"),
        (None, "no object at s3://a/b c.wav (NoSuchKey)", "no object at s3://..."),
        ("https://a/b?sig=1", "https://a/b?sig=1 leads to http://c/d", "the recording leads to http://..."),
    ],
)
def test_a_reason_holds_no_address(address: str | None, reason: str | None, told: str | None) -> None:
    account = Account(reason=reason, address=address)

    assert account.told_reason(is_whole=False) == told
    assert account.told_reason(is_whole=True) == reason


@given(key=st.text(min_size=1), before=st.sampled_from(["", "there is no object at "]), known=st.booleans())
def test_no_key_is_told_whether_or_not_it_is_known(key: str, before: str, known: bool) -> None:
    address = f"s3://calls/{key}secret"
    account = Account(reason=f"{before}{address} (NoSuchKey)", address=address if known else None)
    told = account.told_reason(is_whole=False)

    assert told is not None
    assert "secret" not in told
