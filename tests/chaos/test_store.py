from __future__ import annotations

import pytest

from tests.chaos.store import BUCKET, MANNERS, Store, open_store
from tests.conftest import DATA
from transcriber.audio.disk import Disk
from transcriber.audio.fetch import Fetcher
from transcriber.audio.sources import S3Object
from transcriber.errors import TranscriberError
from transcriber.settings import Settings

NAME = "de-one-phrase.mp3"
WHOLE = DATA.joinpath(NAME).read_bytes()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def outcome(store: Store, manner: str) -> object:
    fetcher = Fetcher(Settings(s3_endpoint_url=store.url, s3_max_attempts=4), disk=Disk(10**9))
    try:
        with fetcher.open(S3Object(bucket=BUCKET, key=f"{manner}/{NAME}")) as file:
            return file.read()
    except TranscriberError as error:
        return error.slug


def test_a_manner_is_what_its_name_says() -> None:
    with open_store(seed=1) as store:
        outcomes = {manner: outcome(store, manner) for manner in MANNERS if manner not in {"throttled", "flaky"}}

    refusals = {"denied": "source_forbidden", "absent": "source_not_found"}
    assert outcomes == {manner: refusals.get(manner, WHOLE) for manner in outcomes}


def test_an_object_is_never_cut_so_often_that_it_cannot_be_had() -> None:
    with open_store(seed=2) as store:
        assert [outcome(store, "cut") for _ in range(6)] == [WHOLE] * 6
        assert store.requests["cut"] >= 18
