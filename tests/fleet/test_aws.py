from __future__ import annotations

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ParamValidationError

from fleet.aws import sentence, session_in, unanswered


def test_words_become_one_line_of_bounded_length_without_a_full_stop() -> None:
    assert sentence("two\n  lines.") == "two lines"
    assert len(sentence("a" * 5000)) < 500


def test_missing_credentials_say_where_to_get_some() -> None:
    said = unanswered(NoCredentialsError(), "eu-central-1", hint="; or do without")

    assert said.endswith("run aws configure or aws sso login, or set AWS_PROFILE; or do without")


def test_an_address_that_nobody_answers_at_doubts_the_region() -> None:
    assert "is eu-centrl-1 a region" in unanswered(EndpointConnectionError(endpoint_url="https://x"), "eu-centrl-1")


def test_anything_else_is_told_in_its_own_words() -> None:
    assert "report" in unanswered(ParamValidationError(report="report"), "eu-central-1")


class Refused(Exception):
    pass


def test_without_a_region_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")

    assert session_in("eu-central-1", refused=Refused).region_name == "eu-central-1"
    with pytest.raises(Refused, match="no region is set; add --region"):
        session_in(None, refused=Refused)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Refused, match="nobody"):
        session_in("eu-central-1", refused=Refused)
