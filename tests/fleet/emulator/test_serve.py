"""The real `serve` with the demo model, behind the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fleet.emulator.emulator import Emulator
from fleet.emulator.options import Options, Patience
from tests.conftest import DATA, DEMO_MODEL, recordings
from tests.fleet.emulator.conftest import BUCKET, Aws

SPOKEN = next(recording for recording in recordings() if recording.path.name == "en-one-phrase.wav")


@pytest.fixture(scope="module")
def real() -> Iterator[Aws]:
    options = Options(patience=Patience(accept_s=5, ping_s=30, publish_s=1))  # the machine may be busy
    with Emulator(options) as emulator:
        aws = Aws(emulator.url)
        aws.make_bucket()
        yield aws
        for client in aws.clients.values():
            client.close()


def test_recording_becomes_text_in_real_time_and_asynchronously(real: Aws) -> None:
    path = DATA / "en-one-phrase.wav"
    model = real.model(MODEL_ID=str(DEMO_MODEL), DEVICE="cpu")
    realtime = real.endpoint(real.config(model=model))
    output = {"OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/out"}}
    later = real.endpoint(real.config(model=model, output=output))
    location = real.put(path.read_bytes())

    raw = real.runtime.invoke_endpoint(EndpointName=realtime, Body=path.read_bytes(), ContentType="audio/wav")
    by_uri = real.runtime.invoke_endpoint(
        EndpointName=realtime, Body=json.dumps({"s3_uri": location}), ContentType="application/json"
    )
    order = real.runtime.invoke_endpoint_async(EndpointName=later, InputLocation=location)

    texts = [raw["Body"].read(), by_uri["Body"].read(), real.wait_get(order["OutputLocation"])]
    assert [json.loads(text)["text"] for text in texts] == [SPOKEN.text] * 3
