"""The real `serve` with the demo model, called in every way that SageMaker knows, through boto3."""

from __future__ import annotations

import io
import json
import os
import signal
import uuid
import wave
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from fleet.emulator.emulator import Emulator
from fleet.emulator.options import Options, Patience
from fleet.platform import REALTIME_BODY_BYTES
from tests.conftest import DATA, DEMO_MODEL, recordings
from tests.fleet.emulator.conftest import BUCKET, Aws
from tests.http_contract.conftest import start, stop, wait_ready
from tests.http_contract.long_speech import wav_of_speech
from tests.patience import wait_until

SPOKEN = next(recording for recording in recordings() if recording.path.name == "en-one-phrase.wav")
CLIP = SPOKEN.path.read_bytes()
LONG = DATA.joinpath("two-minutes.flac").read_bytes()
GREEDY = "temperature=0"  # sampling is random
PATIENCE = Patience(accept_s=5, ping_s=30, publish_s=0.5)  # the machine may be busy


@pytest.fixture(scope="module")
def real() -> Iterator[Aws]:
    with Emulator(Options(patience=PATIENCE)) as emulator:
        aws = Aws(emulator.url)
        aws.make_bucket()
        yield aws
        for client in aws.clients.values():
            client.close()


@pytest.fixture(scope="module")
def model(real: Aws) -> str:
    return real.model(MODEL_ID=str(DEMO_MODEL), DEVICE="cpu")


@pytest.fixture(scope="module")
def realtime(real: Aws, model: str) -> str:
    return real.endpoint(real.config(model=model))


@pytest.fixture(scope="module")
def later(real: Aws, model: str) -> str:
    output = {"S3OutputPath": f"s3://{BUCKET}/out", "S3FailurePath": f"s3://{BUCKET}/failed"}
    return real.endpoint(real.config(model=model, output={"OutputConfig": output}))


@pytest.fixture(autouse=True)
def made_anew(real: Aws) -> None:
    """Make the bucket anew: another folder's tests may have emptied moto."""
    real.make_bucket()


def invoke(real: Aws, endpoint: str, body: bytes, **more: str) -> bytes:
    content: bytes = real.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)["Body"].read()
    return content


def logged(real: Aws, group: str, event: str, *, streams: str = "") -> list[dict[str, Any]]:
    """Return the container's lines in the streams whose names begin with `streams`."""
    found = [
        one["message"]
        for one in real.client("logs").filter_log_events(logGroupName=group)["events"]
        if one["logStreamName"].startswith(streams)
    ]
    lines = [json.loads(message) for message in found if message.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_recording_becomes_text_in_real_time_and_asynchronously(real: Aws, realtime: str, later: str) -> None:
    location = real.put(CLIP)

    texts = [
        invoke(real, realtime, CLIP, ContentType="audio/wav"),
        invoke(real, realtime, json.dumps({"s3_uri": location}).encode(), ContentType="application/json"),
        real.wait_get(real.runtime.invoke_endpoint_async(EndpointName=later, InputLocation=location)["OutputLocation"]),
    ]

    assert [json.loads(text)["text"] for text in texts] == [SPOKEN.text] * 3


@pytest.mark.parametrize("body", [CLIP, b"no sound"], ids=["sound", "no sound"])
def test_ids_of_the_caller_come_back_and_are_in_the_log(real: Aws, realtime: str, body: bytes) -> None:
    named = f"call {uuid.uuid4()}"
    try:
        answer = real.runtime.invoke_endpoint(
            EndpointName=realtime, Body=body, CustomAttributes="Root=1-67;temperature=0", InferenceId=named
        )
        assert answer["CustomAttributes"] == "Root=1-67;temperature=0"
        event = "request done"
    except ClientError:
        event = "request refused"
    group = f"/aws/sagemaker/Endpoints/{realtime}"

    wait_until(lambda: [line for line in logged(real, group, event) if line.get("request_id") == named], "line")


def test_refusal_of_the_container_reaches_the_caller_whole(real: Aws, realtime: str) -> None:
    with pytest.raises(ClientError) as caught:
        invoke(real, realtime, b"no sound" * 100, ContentType="audio/wav")

    response: dict[str, Any] = dict(caught.value.response)
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 415
    assert json.loads(response["OriginalMessage"])["code"] == "not_audio"


def test_largest_body_in_real_time_is_heard_to_its_end(real: Aws, realtime: str) -> None:
    """25 MB of silence, and a phrase at the very end."""
    with wave.open(io.BytesIO(CLIP)) as sound:
        speech = sound.readframes(sound.getnframes())
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(bytes(REALTIME_BODY_BYTES - 44 - len(speech)) + speech)
    body = file.getvalue()

    document = json.loads(invoke(real, realtime, body))

    assert len(body) == REALTIME_BODY_BYTES
    assert document["text"] == SPOKEN.text
    assert document["duration"] == pytest.approx((REALTIME_BODY_BYTES - 44) / 32000, abs=0.01)


@pytest.mark.parametrize(
    "more", [{}, {"ContentType": "application/octet-stream"}, {"ContentType": "image/png"}], ids=str
)
def test_order_is_understood_whatever_its_content_type(real: Aws, later: str, more: Mapping[str, str]) -> None:
    for source in ({"InputLocation": real.put(CLIP)}, {"Body": CLIP}):
        order = real.runtime.invoke_endpoint_async(
            EndpointName=later, Accept="text/plain", CustomAttributes=GREEDY, **source, **more
        )
        assert real.wait_get(order["OutputLocation"]).decode() == f"{SPOKEN.text}\n"


def test_order_that_is_refused_leaves_the_reason_and_is_not_retried(real: Aws, later: str) -> None:
    named = f"order {uuid.uuid4()}"
    order = real.runtime.invoke_endpoint_async(
        EndpointName=later, InputLocation=real.put(b"no sound"), InferenceId=named
    )
    failure = json.loads(real.wait_get(order["FailureLocation"]))
    group = f"/aws/sagemaker/Endpoints/{later}"

    def lines() -> list[dict[str, Any]]:
        return [line for line in logged(real, group, "request refused") if line.get("request_id") == named]

    assert failure["code"] == "not_audio"
    assert len(wait_until(lines, "line of the refusal")) == 1


@pytest.mark.parametrize("media", ["application/jsonlines", "text/event-stream"])
def test_stream_says_what_the_answer_in_one_piece_says(real: Aws, realtime: str, media: str) -> None:
    whole = json.loads(invoke(real, realtime, LONG, CustomAttributes=GREEDY))
    answer = real.runtime.invoke_endpoint_with_response_stream(
        EndpointName=realtime, Body=LONG, Accept=media, CustomAttributes=GREEDY
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    lines = [line.removeprefix("data: ") for line in b"".join(parts).decode().splitlines()]
    records = [json.loads(line) for line in lines if line.startswith("{")]
    *segments, done = [record for record in records if record["type"] != "heartbeat"]

    assert (answer["ContentType"], answer["CustomAttributes"]) == (media, GREEDY)
    assert [segment["text"] for segment in segments] == [segment["text"] for segment in whole["segments"]]
    assert (done["type"], done["text"], done["duration"]) == ("done", whole["text"], whole["duration"])
    assert not all(part.endswith(b"\n") for part in parts)  # the parts are not the container's


def test_stream_that_is_refused_before_it_begins_is_a_model_error(real: Aws, realtime: str) -> None:
    with pytest.raises(ClientError, match="not_audio") as caught:
        real.runtime.invoke_endpoint_with_response_stream(
            EndpointName=realtime, Body=b"no sound", Accept="application/jsonlines"
        )

    assert caught.value.response["Error"]["Code"] == "ModelError"


def test_stream_whose_container_is_killed_ends_with_an_error(tmp_path: Path) -> None:
    server = start(tmp_path)
    try:
        wait_ready(server)
        options = Options(patience=PATIENCE, running_url=f"http://127.0.0.1:{server.port}")
        with Emulator(options) as emulator:
            aws = Aws(emulator.url)
            answer = aws.runtime.invoke_endpoint_with_response_stream(
                EndpointName=aws.endpoint(), Body=wav_of_speech(4), Accept="application/jsonlines"
            )
            with closing(answer["Body"]) as events:
                received = next(iter(events))["PayloadPart"]["Bytes"]
                (worker,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
                os.kill(int(worker), signal.SIGKILL)
                with pytest.raises(EventStreamError, match="ModelStreamError"):
                    for event in events:
                        received += event["PayloadPart"]["Bytes"]
            for client in aws.clients.values():
                client.close()
    finally:
        stop(server)

    assert received.startswith(b'{"type": ')
    assert b'"done"' not in received


@pytest.mark.parametrize("more", [{}, {"MaxPayloadInMB": 0}], ids=["with lengths", "in chunks"])
def test_batch_transform_writes_what_each_file_is_answered_alone(
    real: Aws, model: str, realtime: str, more: dict[str, Any]
) -> None:
    """One file is corrupt: it has no answer, and is sent once, because its fault is permanent."""
    folder, job = f"batch-{uuid.uuid4()}", f"job-{uuid.uuid4()}"
    files = {
        "a.wav": CLIP,
        "de/b.mp3": DATA.joinpath("de-one-phrase.mp3").read_bytes(),
        "de/c": DATA.joinpath("es-two-phrases.flac").read_bytes(),
        "silence.wav": DATA.joinpath("silence.wav").read_bytes(),
        "corrupt.wav": b"no sound" * 1000,
    }
    for key, content in files.items():
        real.put(content, f"{folder}/in/{key}")
    real.sagemaker.create_transform_job(
        TransformJobName=job,
        ModelName=model,
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{folder}/in/"}}
        },
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/{folder}/out", "Accept": "application/x-subrip"},
        TransformResources={"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
        **more,
    )

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = real.sagemaker.describe_transform_job(TransformJobName=job)
        return found if found["TransformJobStatus"] in {"Completed", "Failed", "Stopped"} else None

    found = wait_until(ended, "end of the job")
    good = {key: content for key, content in files.items() if key != "corrupt.wav"}

    assert "1 objects failed" in found["FailureReason"]
    assert real.keys(f"{folder}/out/") == sorted(f"{folder}/out/{key}.out" for key in good)
    for key, content in good.items():
        alone = invoke(real, realtime, content, Accept="application/x-subrip")
        assert real.get(f"s3://{BUCKET}/{folder}/out/{key}.out") == alone, key
    group = "/aws/sagemaker/TransformJobs"
    refused = wait_until(lambda: logged(real, group, "request refused", streams=job), "line of the refusal")
    assert [line["outcome"] for line in refused] == ["not_audio"]
