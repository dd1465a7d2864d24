"""Uploading and submitting, and what is said when it stops half way."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ConnectionClosedError

from fleet.client.batches import Stopped
from fleet.client.errors import CannotCall, Misused
from fleet.client.jobs import Ledger
from fleet.client.recordings import LocalFile, Recording, S3Object
from tests.fleet.client.cloud import Cloud
from tests.fleet.client.fakes import BEGUN_S, S3, Theatre, refusal

MONDAY, TUESDAY = S3Object("in", "monday.mp3"), S3Object("in", "tuesday.mp3")


def files(folder: Path, *names: str) -> list[Recording]:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [LocalFile(folder / name, len(name)) for name in names]


def test_files_are_uploaded_and_objects_taken_where_they_are(cloud: Cloud, tmp_path: Path) -> None:
    jobs = cloud.batch(tmp_path).submit([*files(tmp_path, "a.wav"), MONDAY])

    places = [asked["InputLocation"] for asked in cloud.asked]
    assert places == [jobs[0].recording, "s3://in/monday.mp3"]
    assert places[0].startswith("s3://in/async-input/")
    assert cloud.s3.objects[places[0]][0] == b"a.wav"
    assert [job.name for job in jobs] == ["a", "monday"]


def test_what_is_wanted_travels_with_each_job(cloud: Cloud, tmp_path: Path) -> None:
    cloud.batch(tmp_path).submit([MONDAY])

    assert cloud.asked == [
        {
            "EndpointName": "transcriber-async",
            "InputLocation": "s3://in/monday.mp3",
            "CustomAttributes": "language=de",
            "InvocationTimeoutSeconds": 3600,
        }
    ]


def test_a_recording_of_many_jobs_is_uploaded_once(cloud: Cloud, tmp_path: Path) -> None:
    jobs = cloud.batch(tmp_path).submit(files(tmp_path, "a.wav") * 3)

    assert [job.name for job in jobs] == ["a", "a-2", "a-3"]
    assert len(cloud.s3.objects) == 1


def test_two_uploads_never_meet_in_s3(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    for folder in (tmp_path / "1", tmp_path / "2"):
        cloud.batch(folder).submit([*files(folder, "a.wav"), *files(tmp_path, "a.wav")])

    assert len(cloud.s3.objects) == 4


def test_the_ledger_has_every_job(cloud: Cloud, tmp_path: Path) -> None:
    jobs = cloud.batch(tmp_path).submit([MONDAY, TUESDAY])

    assert Ledger(tmp_path / "ledger.jsonl").jobs() == jobs
    assert jobs[0].accepted_s == BEGUN_S == jobs[0].submitted_s


def test_files_without_a_bucket_are_refused_before_anything_happens(cloud: Cloud, tmp_path: Path) -> None:
    with pytest.raises(Misused, match="add --bucket"):
        cloud.batch(tmp_path, bucket=None).submit([MONDAY, *files(tmp_path, "a.wav")])

    assert cloud.asked == []


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ({"EndpointStatus": "InService"}, "scripts/invoke_realtime.py"),
        ({"EndpointStatus": "Creating", "AsyncInferenceConfig": {}}, "is Creating; it takes no jobs"),
        (
            refusal("DescribeEndpoint", "ValidationException", 'Could not find endpoint "arn:..."'),
            "takes no calls in eu-central-1",
        ),
    ],
)
def test_an_endpoint_that_takes_no_jobs_is_told_before_anything_is_uploaded(
    description: dict[str, object] | Exception, sentence: str, cloud: Cloud, tmp_path: Path
) -> None:
    cloud.description = description

    with pytest.raises(CannotCall, match=sentence):
        cloud.batch(tmp_path).submit(files(tmp_path, "a.wav"))
    assert cloud.s3.objects == {}
    assert not (tmp_path / "ledger.jsonl").exists()


def test_callers_who_may_not_describe_endpoints_submit_all_the_same(cloud: Cloud, tmp_path: Path) -> None:
    cloud.description = refusal("DescribeEndpoint", "AccessDeniedException", status=403)

    assert len(cloud.batch(tmp_path).submit([MONDAY])) == 1


def test_an_upload_that_fails_says_that_nothing_was_submitted(
    cloud: Cloud, s3: S3, theatre: Theatre, tmp_path: Path
) -> None:
    s3.refuses["PutObject"] = refusal("PutObject", "NoSuchBucket", status=404)

    with pytest.raises(Stopped, match="no job was submitted; nothing was uploaded"):
        cloud.batch(tmp_path).submit(files(tmp_path, "a.wav"))
    assert theatre.warned == ["there is no bucket in; check its name, and --region, which is eu-central-1"]
    assert not (tmp_path / "ledger.jsonl").exists()


def test_an_upload_that_stops_says_what_is_there(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    recordings = files(tmp_path, "a.wav", "b.wav")
    (tmp_path / "b.wav").unlink()

    with pytest.raises(Stopped, match="no job was submitted; 1 recording uploaded, below s3://in/async-input/"):
        cloud.batch(tmp_path).submit(recordings)
    assert "b.wav cannot be read any more" in theatre.warned[0]


def test_a_refusal_half_way_says_what_runs_and_what_was_not_submitted(
    cloud: Cloud, theatre: Theatre, tmp_path: Path
) -> None:
    cloud.refusals = [None, refusal("InvokeEndpointAsync", "AccessDeniedException", status=403)]

    with pytest.raises(Stopped, match=r"^not submitted: s3://in/tuesday\.mp3, s3://in/monday\.mp3$"):
        cloud.batch(tmp_path).submit([MONDAY, TUESDAY, MONDAY])
    assert theatre.warned[0].startswith("your credentials may not sagemaker:InvokeEndpointAsync on the endpoint")
    assert theatre.warned[1:] == [
        "1 of 3 jobs submitted",
        "they go on; to fetch what they leave: scripts/invoke_async.py --resume ledger.jsonl",
    ]
    assert len(Ledger(tmp_path / "ledger.jsonl").jobs()) == 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ConnectionClosedError(endpoint_url="https://x")])
def test_a_submission_without_an_answer_may_have_been_accepted(
    fault: BaseException, cloud: Cloud, theatre: Theatre, tmp_path: Path
) -> None:
    cloud.refusals = [fault]

    with pytest.raises(Stopped):
        cloud.batch(tmp_path).submit([MONDAY])
    assert "whether s3://in/monday.mp3 was accepted is not known" in theatre.warned


def test_a_throttled_submission_is_tried_again_after_a_while(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.refusals = [refusal("InvokeEndpointAsync", "ThrottlingException", status=429)] * 3
    begun_s = theatre.clock.now_s
    cloud.batch(tmp_path).submit([MONDAY])

    assert len(cloud.asked) == 1
    assert theatre.clock.now_s - begun_s == 1 + 2 + 4


def test_throttling_without_end_is_told(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.refusals = [refusal("InvokeEndpointAsync", "ThrottlingException", "Rate exceeded", status=429)] * 6

    with pytest.raises(Stopped):
        cloud.batch(tmp_path).submit([MONDAY])
    assert "is too busy or not ready (Rate exceeded); try again later" in theatre.warned[0]


def test_an_endpoint_that_keeps_no_failures_is_warned_of(cloud: Cloud, theatre: Theatre, tmp_path: Path) -> None:
    cloud.keeps_failures = False
    cloud.batch(tmp_path).submit([MONDAY])

    assert "only seen through --queue-url" in theatre.warned[0]
