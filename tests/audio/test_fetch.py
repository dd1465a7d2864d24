from __future__ import annotations

import io
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from tests.audio.conftest import SECRET, UnrulyStore, answer
from transcriber.audio.disk import Disk
from transcriber.audio.fetch import Fetcher
from transcriber.audio.memory import Memory
from transcriber.audio.sources import InlineBytes, S3Object, Upload
from transcriber.errors import (
    Busy,
    DeadlineExceeded,
    MalformedRequest,
    NotAudio,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
    TooLarge,
    TranscriberError,
)
from transcriber.settings import Settings

TALK = S3Object(bucket="recordings", key="2024/talk é.wav")
SIZED = answer(200, length=1000, ETag='"v1"')


def fetcher(url: str, **settings: Any) -> Fetcher:
    return Fetcher(Settings(**{"s3_endpoint_url": url, "s3_max_attempts": 1, **settings}), disk=Disk(10**9))


def refusal(fetching: Fetcher, source: S3Object = TALK) -> TranscriberError:
    """What comes instead of the file."""
    with pytest.raises(TranscriberError) as caught, fetching.open(source):
        pass
    assert source.uri in caught.value.message
    assert SECRET not in caught.value.message
    return caught.value


class TestRealStore:
    def test_an_object_is_lent_as_a_file(self, s3: S3Client, moto_url: str) -> None:
        data = bytes(range(256)) * 3000
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=data)

        with fetcher(moto_url).open(TALK) as file:
            assert list(Path(tempfile.gettempdir()).iterdir()) == []
            assert file.read() == data
            assert file.seek(256) == 256
            assert file.read(2) == b"\0\1"
        assert file.closed

    def test_one_fetcher_serves_many_threads(self, s3: S3Client, moto_url: str) -> None:
        for number in range(8):
            s3.put_object(Bucket=TALK.bucket, Key=str(number), Body=bytes([number]) * 1000)
        fetching = fetcher(moto_url)

        def first_byte(number: int) -> int:
            with fetching.open(S3Object(bucket=TALK.bucket, key=str(number))) as file:
                return file.read(1)[0]

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(first_byte, range(8))) == list(range(8))

    def test_exactly_the_limit_is_taken(self, s3: S3Client, moto_url: str) -> None:
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=b"12345")

        with fetcher(moto_url, max_object_bytes=5).open(TALK) as file:
            assert file.read() == b"12345"

    def test_an_object_above_the_limit_is_refused(self, s3: S3Client, moto_url: str) -> None:
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=b"123456")

        error = refusal(fetcher(moto_url, max_object_bytes=5))

        assert isinstance(error, TooLarge)
        assert "has 6 bytes, more than the 5 that this container takes" in error.message

    def test_an_empty_object_is_no_audio(self, s3: S3Client, moto_url: str) -> None:
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=b"")

        assert isinstance(refusal(fetcher(moto_url)), NotAudio)

    @pytest.mark.parametrize("bucket", ["recordings", "no-such-bucket"])
    @pytest.mark.usefixtures("s3")
    def test_what_is_not_there_is_not_found(self, bucket: str, moto_url: str) -> None:
        error = refusal(fetcher(moto_url), S3Object(bucket=bucket, key="absent.wav"))

        assert isinstance(error, SourceNotFound)

    def test_an_archived_object_must_be_restored(self, s3: S3Client, moto_url: str) -> None:
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=b"12345", StorageClass="GLACIER")

        error = refusal(fetcher(moto_url))

        assert isinstance(error, SourceForbidden)
        assert "restore it" in error.message

    @pytest.mark.parametrize(
        "source",
        [
            S3Object(bucket="No Bucket", key="a"),
            S3Object(bucket="a/b", key="a"),
            S3Object(bucket="recordings", key=""),
            S3Object(bucket="arn:aws:s3:x", key="a"),
            S3Object(bucket="", key="a"),
        ],
    )
    @pytest.mark.usefixtures("credentials")
    def test_what_can_be_no_address_is_malformed(self, source: S3Object, moto_url: str) -> None:
        assert isinstance(refusal(fetcher(moto_url), source), MalformedRequest)

    @pytest.mark.usefixtures("no_credentials")
    def test_a_container_without_credentials_says_so(self, moto_url: str) -> None:
        error = refusal(fetcher(moto_url))

        assert isinstance(error, SourceForbidden)
        assert "no AWS credentials" in error.message
        assert "execution role" in error.message

    def test_credentials_that_come_late_are_found(
        self, s3: S3Client, moto_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        s3.put_object(Bucket=TALK.bucket, Key=TALK.key, Body=b"12345")
        fetching = fetcher(moto_url)
        with monkeypatch.context() as without:
            without.delenv("AWS_ACCESS_KEY_ID")
            refusal(fetching)

        with fetching.open(TALK) as file:
            assert file.read() == b"12345"


class TestUnrulyStore:
    def test_size_is_asked_before_a_byte_is_fetched(self, unruly: UnrulyStore) -> None:
        unruly.head = answer(200, length=6, ETag='"v1"')

        assert isinstance(refusal(fetcher(unruly.url, max_object_bytes=5)), TooLarge)
        assert [request.split()[0] for request in unruly.seen] == ["HEAD"]

    def test_the_version_that_was_sized_is_fetched(self, unruly: UnrulyStore) -> None:
        asked: list[str] = []

        def changed(request: BaseHTTPRequestHandler) -> None:
            asked.append(request.headers["If-Match"])
            answer(412, code="PreconditionFailed")(request)

        unruly.head, unruly.get = SIZED, changed
        error = refusal(fetcher(unruly.url))

        assert asked == ['"v1"']
        assert isinstance(error, SourceUnavailable)
        assert "was replaced while it was being read" in error.message

    @pytest.mark.parametrize("sent", [0, 1, 999])
    def test_a_body_that_breaks_off_is_unavailable(self, sent: int, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * sent, length=1000)

        error = refusal(fetcher(unruly.url))

        assert isinstance(error, SourceUnavailable)
        assert error.retry_after_s

    def test_a_body_that_is_short_is_unavailable(self, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 999)

        assert "999 of 1,000 bytes came" in refusal(fetcher(unruly.url)).message

    def test_a_body_that_stops_coming_is_unavailable(self, unruly: UnrulyStore) -> None:
        def stall(request: BaseHTTPRequestHandler) -> None:
            answer(200, body=b"x" * 500, length=1000)(request)
            request.wfile.flush()
            unruly.patience.wait(30)

        unruly.head, unruly.get = SIZED, stall
        error = refusal(fetcher(unruly.url, s3_read_timeout_seconds=0.5))

        assert isinstance(error, SourceUnavailable)
        assert "ReadTimeoutError" in error.message

    def test_a_store_that_never_answers_is_unavailable(self, unruly: UnrulyStore) -> None:
        def stall(request: BaseHTTPRequestHandler) -> None:
            unruly.patience.wait(30)
            request.close_connection = True

        unruly.head = stall

        assert isinstance(refusal(fetcher(unruly.url, s3_read_timeout_seconds=0.2)), SourceUnavailable)

    @pytest.mark.parametrize("short", [False, True], ids=["cut", "short"])
    def test_the_rest_is_asked_for_where_the_connection_was_cut(self, short: bool, unruly: UnrulyStore) -> None:
        content = bytes(range(250)) * 4
        asked: list[tuple[str | None, str]] = []

        def drip(request: BaseHTTPRequestHandler) -> None:
            since = request.headers["Range"]
            asked.append((since, request.headers["If-Match"]))
            at = int(since.removeprefix("bytes=").removesuffix("-")) if since else 0
            rest = content[at:]
            piece = rest[:400]
            answer(206 if since else 200, body=piece, length=len(piece) if short and not since else len(rest))(request)

        unruly.head, unruly.get = SIZED, drip
        with fetcher(unruly.url, s3_max_attempts=3).open(TALK) as file:
            assert file.read() == content
        assert asked == [(None, '"v1"'), ("bytes=400-", '"v1"'), ("bytes=800-", '"v1"')]

    def test_there_are_no_more_attempts_than_the_settings_say(self, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"", length=1000)

        assert isinstance(refusal(fetcher(unruly.url, s3_max_attempts=3)), SourceUnavailable)
        assert [request.split()[0] for request in unruly.seen] == ["HEAD", "GET", "GET", "GET"]

    def test_an_object_that_was_replaced_between_two_attempts_is_not_mixed(self, unruly: UnrulyStore) -> None:
        answers = iter([answer(200, body=b"x" * 400, length=1000), answer(412, code="PreconditionFailed")])

        def change(request: BaseHTTPRequestHandler) -> None:
            next(answers)(request)

        unruly.head, unruly.get = SIZED, change

        assert "was replaced while it was being read" in refusal(fetcher(unruly.url, s3_max_attempts=3)).message

    def test_a_store_that_begins_again_instead_of_going_on_is_not_believed(self, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 400, length=1000)

        assert "does not give the rest" in refusal(fetcher(unruly.url, s3_max_attempts=3)).message

    def test_an_object_that_takes_too_long_is_not_waited_for(self, unruly: UnrulyStore) -> None:
        """The store never stops sending, but the request has an end."""
        now_s = iter([0.0, 6.0, 12.0])
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 1000)
        slow = Fetcher(Settings(s3_endpoint_url=unruly.url), disk=Disk(10**9), clock=lambda: next(now_s))

        with pytest.raises(DeadlineExceeded, match="was on its way"), slow.open(TALK, deadline_s=5.0):
            pass

    def test_what_callers_may_not_name_is_not_even_asked_for(self, unruly: UnrulyStore) -> None:
        error = refusal(fetcher(unruly.url, allowed_s3_prefixes="s3://recordings/2023/,s3://other"))

        assert isinstance(error, SourceForbidden)
        assert unruly.seen == []

    def test_what_callers_may_name_is_fetched(self, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 1000)

        with fetcher(unruly.url, allowed_s3_prefixes="s3://recordings/2024").open(TALK) as file:
            assert len(file.read()) == 1000

    def test_an_object_for_which_the_disk_has_no_room_is_not_asked_for(self, unruly: UnrulyStore) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 1000)
        disk = Disk(1500, memory=Memory(buffers=0))
        fetching = Fetcher(Settings(s3_endpoint_url=unruly.url), disk=disk)

        with fetching.open(TALK), pytest.raises(Busy, match="no room on disk"), fetching.open(TALK):
            pass
        assert [request.split()[0] for request in unruly.seen] == ["HEAD", "GET", "HEAD"]
        assert disk.used_bytes == 0

    @pytest.mark.usefixtures("credentials")
    def test_a_store_that_nobody_runs_is_unavailable(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        assert isinstance(refusal(fetcher(f"http://127.0.0.1:{port}")), SourceUnavailable)

    def test_trouble_that_passes_is_not_seen(self, unruly: UnrulyStore) -> None:
        answers = iter([answer(503), SIZED])

        def better_and_better(request: BaseHTTPRequestHandler) -> None:
            next(answers)(request)

        unruly.head = better_and_better
        unruly.get = answer(200, body=b"x" * 1000)

        with fetcher(unruly.url, s3_max_attempts=2).open(TALK) as file:
            assert file.read() == b"x" * 1000

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (400, SourceForbidden),
            (401, SourceForbidden),
            (403, SourceForbidden),
            (404, SourceNotFound),
            (405, SourceForbidden),
            (429, SourceUnavailable),
            (500, SourceUnavailable),
            (503, SourceUnavailable),
        ],
    )
    def test_answers_to_head_speak_by_their_status_alone(
        self, status: int, expected: type[TranscriberError], unruly: UnrulyStore
    ) -> None:
        unruly.head = answer(status)

        assert type(refusal(fetcher(unruly.url))) is expected

    @pytest.mark.parametrize("status", [301, 307])
    def test_a_bucket_in_another_region_is_named(self, status: int, unruly: UnrulyStore) -> None:
        unruly.head = answer(status, x_amz_bucket_region="eu-west-1")

        error = refusal(fetcher(unruly.url))

        assert isinstance(error, SourceUnavailable)
        assert "AWS_REGION" in error.message

    @pytest.mark.parametrize(
        ("status", "code", "expected", "advice"),
        [
            (403, "AccessDenied", SourceForbidden, "s3:GetObject"),
            (403, "InvalidAccessKeyId", SourceForbidden, "execution role"),
            (400, "ExpiredToken", SourceForbidden, "execution role"),
            (403, "RequestTimeTooSkewed", SourceForbidden, "clock"),
            (400, "KMS.DisabledException", SourceForbidden, "kms:Decrypt"),
            (403, "InvalidObjectState", SourceForbidden, "restore"),
            (404, "NoSuchKey", SourceNotFound, "check the bucket and the key"),
            (400, "InvalidRequest", SourceForbidden, "InvalidRequest"),
            (503, "SlowDown", SourceUnavailable, "try again"),
            (400, "RequestTimeout", SourceUnavailable, "try again"),
            (418, "NeverSeenBefore", SourceForbidden, "NeverSeenBefore"),
            (599, "NeverSeenBefore", SourceUnavailable, "try again"),
        ],
    )
    def test_answers_to_get_speak_by_their_code(
        self, status: int, code: str, expected: type[TranscriberError], advice: str, unruly: UnrulyStore
    ) -> None:
        unruly.head, unruly.get = SIZED, answer(status, code=code)

        error = refusal(fetcher(unruly.url))

        assert type(error) is expected
        assert advice in error.message

    @pytest.mark.usefixtures("credentials")
    def test_an_endpoint_that_is_no_address_is_the_operators_matter(self) -> None:
        error = refusal(fetcher("no address"))

        assert isinstance(error, SourceUnavailable)
        assert "operator" in error.message

    def test_nothing_leaks_when_the_disk_is_full(
        self, unruly: UnrulyStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        unruly.head, unruly.get = SIZED, answer(200, body=b"x" * 1000)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))

        disk = Disk(10**9, memory=Memory(buffers=0))

        with pytest.raises(Busy), Fetcher(Settings(s3_endpoint_url=unruly.url), disk=disk).open(TALK):
            pass
        assert disk.used_bytes == 0


@pytest.mark.usefixtures("no_credentials")
class TestOtherSources:
    def test_inline_bytes_are_lent_as_a_file(self) -> None:
        with fetcher("http://127.0.0.1:1").open(InlineBytes(data=b"12345")) as file:
            assert file.read() == b"12345"
        assert file.closed

    def test_an_upload_is_lent_from_its_beginning_and_stays_open(self) -> None:
        upload = Upload(file=io.BytesIO(b"12345"), size_bytes=5)
        upload.file.seek(3)

        with fetcher("http://127.0.0.1:1").open(upload) as file:
            assert file.read() == b"12345"
        assert not upload.file.closed
