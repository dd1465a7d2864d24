"""The clients as they are called, with a container of tests in the emulator."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.emulator.emulator import Emulator
from fleet.emulator.options import Options
from tests.conftest import DATA, ROOT
from tests.fleet.emulator.conftest import BUCKET, CONTAINER, PATIENCE, REGION, Aws
from tests.patience import wait_until

LOOPS = ("invoke_loop.sh", "invoke_async_loop.sh")
GOOD = json.dumps({"body": json.dumps({"text": "Ja.", "detected_language": "de", "duration": 2.0})}).encode()
BAD = json.dumps({"status": 415, "body": json.dumps({"error": "this is no audio"})}).encode()


@dataclass(frozen=True)
class Place:
    """An emulator with both endpoints and a queue, and scripts that are run against it."""

    aws: Aws
    realtime: str
    later: str
    queue: str

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        given = {"AWS_ENDPOINT_URL": self.aws.url, "AWS_DEFAULT_REGION": REGION}
        return {**kept, **given, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def run(self, name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(name, *arguments),
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


def command(name: str, *arguments: str) -> list[str]:
    path = str(ROOT / "scripts" / name)
    return [path, *arguments] if name.endswith(".sh") else [sys.executable, path, *arguments]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    options = Options(command=(sys.executable, str(CONTAINER), "serve"), patience=PATIENCE)
    with Emulator(options) as emulator:
        aws = Aws(emulator.url)
        aws.make_bucket()
        success, _ = aws.topic("clients-success")
        error, _ = aws.topic("clients-error")
        queue = aws.client("sqs").create_queue(QueueName="clients-both")["QueueUrl"]
        arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        for topic in (success, error):
            aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
        output = {
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/out",
                "S3FailurePath": f"s3://{BUCKET}/failed",
                "NotificationConfig": {"SuccessTopic": success, "ErrorTopic": error},
            },
        }
        realtime, later = aws.config(), aws.config(instances=2, output=output)
        for name, config in (("both-realtime", realtime), ("both-async", later)):
            aws.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        aws.wait_in_service("both-realtime")
        aws.wait_in_service("both-async")
        yield Place(aws, "both-realtime", "both-async", queue)
        for client in aws.clients.values():
            client.close()


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run a script within this process, which spares it the start; returns its status, stdout and stderr."""

    def run(name: str, *arguments: str, **environ: str) -> tuple[int, str, str]:
        if name.endswith(".sh"):
            ended = subprocess.run(command(name, *arguments), capture_output=True, text=True, timeout=60, check=False)
            return ended.returncode, ended.stdout, ended.stderr
        for variable in [one for one in os.environ if one.startswith("AWS_")]:
            monkeypatch.delenv(variable)
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        module = importlib.import_module(f"scripts.{name.removesuffix('.py')}")
        try:
            status = module.main()
        except SystemExit as end:
            status = end.code
        out, errors = capsys.readouterr()
        return int(status), out, errors

    return run


@pytest.fixture
def files(tmp_path: Path, place: Place) -> Path:
    place.aws.make_bucket()
    (tmp_path / "good.wav").write_bytes(GOOD)
    (tmp_path / "bad.wav").write_bytes(BAD)
    return tmp_path


def test_real_time_prints_the_text_and_fails_for_the_recording_that_does(place: Place, files: Path) -> None:
    ended = place.run(
        "invoke_realtime.py", "--endpoint", place.realtime, str(files / "bad.wav"), str(files / "good.wav")
    )

    assert (ended.returncode, ended.stdout) == (1, "Ja.\n")
    assert "bad.wav: the container of the endpoint both-realtime answered 415: this is no audio" in ended.stderr
    assert "2.0 s of audio, de, " in ended.stderr


def test_a_stream_is_joined_from_the_parts_that_sagemaker_cuts(place: Place, files: Path) -> None:
    records = [{"type": "segment", "start": 0, "end": 1, "text": f"八 {number}"} for number in range(20)]
    lines = [f"{json.dumps(one, ensure_ascii=False)}\n" for one in [*records, {"type": "done", "text": "八"}]]
    (files / "stream.wav").write_text(json.dumps({"chunked": lines}))
    ended = place.run("invoke_realtime.py", "--endpoint", place.realtime, "--stream", str(files / "stream.wav"))

    assert ended.returncode == 0, ended.stderr
    assert [line.split("] ")[1] for line in ended.stdout.splitlines()] == [f"八 {number}" for number in range(20)]


def test_a_broken_stream_is_told(place: Place, files: Path) -> None:
    (files / "stream.wav").write_text(json.dumps({"chunked": ['{"type": "seg', "x"], "break_after": 1}))
    ended = place.run("invoke_realtime.py", "--endpoint", place.realtime, "--stream", str(files / "stream.wav"))

    assert ended.returncode == 1
    assert "stream.wav: the endpoint both-realtime: " in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("by_queue", [False, True], ids=["by S3", "by notifications"])
def test_jobs_are_waited_for_and_kept(place: Place, files: Path, *, by_queue: bool) -> None:
    listening = ["--queue-url", place.queue] if by_queue else []
    ended = place.run(
        "invoke_async.py",
        *("--endpoint", place.later, "--bucket", BUCKET, "--poll-seconds", "0.2", *listening),
        *(
            "--out",
            str(files / "out"),
            "--ledger",
            str(files / "ledger"),
            str(files / "good.wav"),
            str(files / "bad.wav"),
        ),
    )

    assert ended.returncode == 1, ended.stderr
    rows = ended.stdout.splitlines()
    assert rows[1].startswith("good      2.0  de ")
    assert rows[2].endswith("failed: this is no audio")
    assert "2 jobs: 1 done, 1 failed, 0 still running" in ended.stderr
    assert sorted(path.name for path in (files / "out").iterdir()) == ["bad.error.txt", "good.json"]


def test_what_was_only_submitted_is_fetched_later_by_its_ledger(place: Place, files: Path) -> None:
    address = place.aws.put(GOOD, "in/later.wav")
    submitted = place.run(
        "invoke_async.py", "--endpoint", place.later, "--no-wait", "--ledger", str(files / "ledger"), address
    )
    again = submitted.stdout.strip().partition("scripts/invoke_async.py ")[2].split()
    ended = place.run("invoke_async.py", *again, "--poll-seconds", "0.2")

    assert again == ["--resume", str(files / "ledger")]
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1].startswith("later")


@pytest.fixture
def heeded() -> Iterator[None]:
    """Let Ctrl-C reach what the tests start, though the tests themselves run in a background that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_says_what_goes_on_and_how_to_fetch_it(place: Place, files: Path) -> None:
    slow = place.aws.put(json.dumps({"sleep": 10}).encode(), "in/slow.wav")
    arguments = ("--endpoint", place.later, "--ledger", str(files / "ledger"), slow)
    errors = files / "stderr"
    with errors.open("w") as file:
        process = subprocess.Popen(
            command("invoke_async.py", *arguments), env=place.environ, stdout=subprocess.DEVNULL, stderr=file
        )
        try:
            wait_until(lambda: "0/1 ended" in errors.read_text(), "beginning of the wait")
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=60)
        finally:
            process.kill()
            process.wait(timeout=60)

    assert status == 130
    assert "1 job: 0 done, 0 failed, 1 still running" in errors.read_text()
    assert f"scripts/invoke_async.py --resume {files / 'ledger'}" in errors.read_text()
    assert "Traceback" not in errors.read_text()


def test_a_load_test_waits_for_all_and_counts_those_that_were_to_fail(place: Place, files: Path) -> None:
    # the container of tests takes the bytes of --failing for audio, so that a recording that fails is named instead
    ended = place.run(
        "load_test_async.py",
        *("--endpoint", place.later, "--bucket", BUCKET, "--jobs", "50", "--scale-seconds", "1", "--no-plot"),
        *(
            "--queue-url",
            place.queue,
            "--out",
            str(files / "out"),
            *[str(files / "good.wav")] * 4,
            str(files / "bad.wav"),
        ),
    )
    record: dict[str, Any] = json.loads((files / "out" / "record.json").read_text())

    assert ended.returncode == 1, ended.stderr
    assert "50 jobs in 0:" in ended.stdout
    assert "10 x this is no audio" in ended.stdout
    assert sum(job["failure"] == "" and job["took_s"] is not None for job in record["jobs"]) == 40
    assert len(place.aws.s3.list_objects_v2(Bucket=BUCKET, Prefix="load-test/")["Contents"]) >= 2
    assert {sample["instances"] for sample in record["samples"]} == {2}
    assert "ApproximateBacklogSize" in record["metrics"]


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("invoke_realtime.py", ["--endpoint", "nobody", "{wav}"], "takes no calls in eu-central-1"),
        ("invoke_realtime.py", ["--endpoint", "both-async", "{wav}"], "it is called by scripts/invoke_async.py"),
        ("invoke_realtime.py", ["--endpoint", "both-realtime", "/nowhere.wav"], "cannot be read"),
        ("invoke_realtime.py", ["--endpoint", "both-realtime", "{big}"], "takes up to 1 GB: scripts/invoke_async.py"),
        ("invoke_realtime.py", ["--url", "http://127.0.0.1:1", "{wav}"], "nothing listens at"),
        ("invoke_async.py", ["--endpoint", "both-realtime", "s3://{bucket}/a"], "there is no object"),
        ("invoke_async.py", ["--endpoint", "both-async", "{wav}"], "add --bucket"),
        ("invoke_async.py", ["--endpoint", "both-async", "--bucket", "no-such-bucket", "{wav}"], "there is no bucket"),
        ("invoke_async.py", ["--endpoint", "nobody", "--bucket", "{bucket}", "{wav}"], "list-endpoints"),
        ("invoke_async.py", ["--endpoint", "both-async", "--region", "eu-west-1", "s3://none-here/"], "no bucket"),
        ("invoke_async.py", ["--resume", "/nowhere"], "cannot be read"),
        (
            "load_test_async.py",
            ["--endpoint", "nobody", "--no-plot", "--bucket", "{bucket}", "{wav}"],
            "takes no calls",
        ),
    ],
)
def test_a_mistake_is_a_sentence_that_says_what_to_do(
    name: str, arguments: list[str], sentence: str, place: Place, files: Path, here: Here
) -> None:
    with (files / "big.wav").open("wb") as file:
        file.truncate(25 * 1024 * 1024 + 1)
    words = {"wav": str(files / "good.wav"), "big": str(files / "big.wav"), "bucket": BUCKET}
    status, out, errors = here(name, *(argument.format(**words) for argument in arguments), **place.environ)

    assert status in {1, 2}
    assert sentence in errors
    assert errors.startswith(f"{name}: ")
    assert out == ""


@pytest.mark.parametrize("name", ["invoke_realtime.py", "invoke_async.py", "load_test_async.py"])
def test_without_credentials_the_message_says_what_to_do(name: str, place: Place, files: Path, here: Here) -> None:
    bare = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_ACCESS_KEY_ID": ""}
    more = ["--no-plot"] if name == "load_test_async.py" else []
    status, _, errors = here(
        name,
        *("--endpoint", "both-async", *more, f"s3://{BUCKET}/a" if more else str(files / "good.wav")),
        *([] if name == "invoke_realtime.py" else ["--bucket", BUCKET]),
        **{**place.environ, **bare, "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
    )

    assert status in {1, 2}
    assert "run aws configure or aws sso login, or set AWS_PROFILE" in errors


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("invoke_async.py", ["a.wav"], "--endpoint is needed"),
        ("invoke_async.py", ["--endpoint", "e"], "name a recording"),
        ("invoke_async.py", ["--resume", "l", "a.wav"], "--resume submits nothing"),
        ("load_test_async.py", ["--endpoint", "e"], "name a recording"),
        ("load_test_async.py", ["--endpoint", "e", "--jobs", "2", "--failing", "2", "a"], "must be less than --jobs"),
        ("load_test_async.py", ["--endpoint", "e", "--scale-seconds", "nan", "a"], "is not a number above 0"),
        ("load_test_async.py", ["--endpoint", "e", "--jobs", "0", "a"], "is not a whole number from 1 on"),
        ("load_test_async.py", ["--endpoint", "e", "--failing", "-1", "a"], "is not a whole number from 0 on"),
        ("invoke_async.py", ["--endpoint", "e", "--wait-minutes", "long", "a"], "'long' is not a number above 0"),
        ("invoke_async.py", ["--endpoint", "e", "--queue-url", "", "a"], "--queue-url must say something"),
        ("invoke_realtime.py", ["--endpoint", "e", "--url", "u", "a"], "not allowed with"),
        ("invoke_realtime.py", ["--endpoint", "", "a"], "must say something"),
        ("invoke_loop.sh", [], "--endpoint is needed"),
        ("invoke_loop.sh", ["--endpoint", "e"], "name a recording"),
        ("invoke_loop.sh", ["--endpoint", "e", "/nowhere"], "is no file that can be read"),
        ("invoke_loop.sh", ["--endpoint", "e", "--times", "0", str(DATA / "silence.wav")], "from 1 on, not 0"),
        ("invoke_loop.sh", ["--endpoint", "e", "a", "b"], "one recording at a time"),
        ("invoke_async_loop.sh", ["--endpoint", "e", "a.wav"], "name an object"),
        ("invoke_async_loop.sh", ["--endpoint", "e", "--every", "soon", "s3://b/k"], "a number of seconds, not soon"),
        ("invoke_async_loop.sh", ["--fast"], "unknown option --fast"),
        ("invoke_async_loop.sh", ["--wait"], "--wait wants a value"),
    ],
)
def test_a_wrong_call_is_status_2_and_nothing_is_sent(
    name: str, arguments: list[str], sentence: str, here: Here
) -> None:
    status, out, errors = here(name, *arguments)

    assert status == 2
    assert sentence in errors
    assert out == ""
