#!/usr/bin/env python3
"""Have the largest input of an asynchronous endpoint transcribed, 1 GB of WAV, and watch the container's memory.

The recording is silence with a sentence now and then: 9.3 hours that the demo model reads in minutes on two cores. It
is sent as asynchronous endpoints do, as the raw bytes with their length and no content type; with --emulate through
InvokeEndpointAsync of the emulator, out of its S3. Printed, and with --save written as JSON: how long it took, how much
the container's memory grew at most, and what the samples alone would weigh.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
RECORDING = ROOT / "tests" / "data" / "en-one-phrase.wav"
RATE_HZ = 16_000
HEAD_BYTES = 44
MIB = 1024 * 1024
READY_WITHIN_S = 120
ANSWER_WITHIN_S = 3600
"""What SageMaker grants an asynchronous invocation at most."""

LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was seen.

    Attributes:
        ready_mib: Resident memory of the container, all its processes, before the request.
        peak_mib: The most of it while the request was worked on.
        grown_mib: What lies between.
        samples_mib: What the decoded recording would take as 16-bit samples.
    """

    body_bytes: int
    audio_s: float
    every_s: float
    sentences: int
    segments: int
    took_s: float
    ready_mib: float
    peak_mib: float
    grown_mib: float
    samples_mib: float
    way: str
    cores: int


def main() -> None:
    """Measure, print, and fail if memory grew by more than the samples and 150 MB, or if sentences are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=1024 * MIB, help="size of the file (default: %(default)s)")
    parser.add_argument("--every", type=float, default=120.0, help="seconds between sentences (default: %(default)s)")
    parser.add_argument("--emulate", action="store_true", help="send it through the emulator and its S3")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the figures there as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="big-input-") as folder:
        file = Path(folder) / "recording.wav"
        sentences = write_recording(file, size_bytes=arguments.bytes, every_s=arguments.every)
        figures = _measure(file, Path(folder), sentences=sentences, every_s=arguments.every, emulate=arguments.emulate)
    print(json.dumps(asdict(figures), indent=2))
    if arguments.save:
        arguments.save.parent.mkdir(parents=True, exist_ok=True)
        arguments.save.write_text(json.dumps(asdict(figures), indent=2) + "\n", "utf-8")
    if figures.grown_mib > figures.samples_mib + 150:
        sys.exit(f"measure_big_input: memory grew by {figures.grown_mib:.0f} MiB")
    if figures.segments < figures.sentences:
        sys.exit(f"measure_big_input: {figures.segments} segments for {figures.sentences} sentences")


def write_recording(file: Path, *, size_bytes: int, every_s: float) -> int:
    """Write a WAV file of exactly that size, silence with a sentence every so often; return how many there are."""
    with wave.open(str(RECORDING), "rb") as sound:
        sentence = sound.readframes(sound.getnframes())
    turn = sentence + bytes(2 * round(every_s * RATE_HZ) - len(sentence))
    left = (size_bytes - HEAD_BYTES) // 2 * 2
    turns, rest = divmod(left, len(turn))
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, RATE_HZ, left // 2, "NONE", ""))
        for _ in range(turns):
            sound.writeframesraw(turn)
        sound.writeframesraw(bytes(rest))
    return turns


def resident_mib(first_process: int) -> float:
    """Add up the resident memory of a process and its children, as /proc tells it."""
    status = Path(f"/proc/{first_process}/status").read_text("utf-8")
    children = Path(f"/proc/{first_process}/task/{first_process}/children").read_text("utf-8").split()
    own_kib = int(status.split("VmRSS:")[1].split()[0])
    return own_kib / 1024 + sum(resident_mib(int(child)) for child in children)


class Watch:
    """Looks at the memory of a container again and again."""

    def __init__(self, first_process: int) -> None:
        self._first_process = first_process
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.ready_mib = self.peak_mib = resident_mib(first_process)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ending.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            try:
                self.peak_mib = max(self.peak_mib, resident_mib(self._first_process))
            except (FileNotFoundError, IndexError):
                continue  # a process ended while it was looked at


def _measure(file: Path, folder: Path, *, sentences: int, every_s: float, emulate: bool) -> Figures:
    size_bytes = file.stat().st_size
    audio_s = (size_bytes - HEAD_BYTES) / 2 / RATE_HZ
    with _server(folder, audio_s) as (process, port), Watch(process) as watch:
        began_s = time.monotonic()
        answer = _through_emulator(file, port) if emulate else _post(port, file)
        took_s = time.monotonic() - began_s
    return Figures(
        body_bytes=size_bytes,
        audio_s=round(answer["duration"], 1),
        every_s=every_s,
        sentences=sentences,
        segments=len(answer["segments"]),
        took_s=round(took_s, 1),
        ready_mib=round(watch.ready_mib, 1),
        peak_mib=round(watch.peak_mib, 1),
        grown_mib=round(watch.peak_mib - watch.ready_mib, 1),
        samples_mib=round((size_bytes - HEAD_BYTES) / MIB, 1),
        way="InvokeEndpointAsync of the emulator" if emulate else "POST /invocations",
        cores=len(os.sched_getaffinity(0)),
    )


@contextmanager
def _server(folder: Path, audio_s: float) -> Iterator[tuple[int, int]]:
    """Run `serve`; yield its process and port once it has transcribed a sentence, so that all it needs is there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    scratch = folder / "scratch"
    scratch.mkdir()
    environ = {"MAX_AUDIO_SECONDS": str(audio_s + 60), "MAX_WAITING_SECONDS": str(2 * audio_s)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "serve"), "serve"],
            env={**os.environ, **environ, "PORT": str(port), "TMPDIR": str(scratch)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, port, folder / "log")
        _post(port, RECORDING)
        yield process.pid, port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < ends_s and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    sys.exit(f"measure_big_input: the server did not become ready\n{log.read_text('utf-8')}")


def _post(port: int, file: Path) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)
    with file.open("rb") as body:
        connection.request("POST", "/invocations", body, {"Content-Length": str(file.stat().st_size)})
        answer = connection.getresponse()
        content = answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"measure_big_input: status {answer.status}: {content.decode()}")
    document: dict[str, Any] = json.loads(content)
    return document


def _through_emulator(file: Path, port: int) -> dict[str, Any]:
    """Put the file into the emulator's S3, order its transcription, wait for the result."""
    sys.path.insert(0, str(ROOT))
    import boto3  # noqa: PLC0415 - only needed, and only found, here

    from fleet.emulator.emulator import Emulator  # noqa: PLC0415
    from fleet.emulator.options import Options, Patience  # noqa: PLC0415

    options = Options(running_url=f"http://127.0.0.1:{port}", patience=Patience(accept_s=5, ping_s=30))
    with Emulator(options, tell=lambda what: print(what, file=sys.stderr)) as emulator:

        def client(service: str) -> Any:  # noqa: ANN401 - boto3's clients have no types of their own
            keys = {"aws_access_key_id": "emulator", "aws_secret_access_key": "emulator"}
            return boto3.client(service, endpoint_url=emulator.url, region_name="us-east-1", **keys)

        s3, sagemaker, runtime = client("s3"), client("sagemaker"), client("sagemaker-runtime")
        s3.create_bucket(Bucket="sagemaker-big")
        with file.open("rb") as body:
            s3.put_object(Bucket="sagemaker-big", Key="in/recording.wav", Body=body)
        role = "arn:aws:iam::123456789012:role/transcriber"
        sagemaker.create_model(ModelName="big", ExecutionRoleArn=role, PrimaryContainer={"Image": "transcriber:cpu"})
        variant = {"VariantName": "AllTraffic", "ModelName": "big", "InstanceType": "ml.m5.xlarge"}
        sagemaker.create_endpoint_config(
            EndpointConfigName="big",
            ProductionVariants=[{**variant, "InitialInstanceCount": 1}],
            AsyncInferenceConfig={
                "OutputConfig": {
                    "S3OutputPath": "s3://sagemaker-big/out",
                    "S3FailurePath": "s3://sagemaker-big/failed",
                }
            },
        )
        sagemaker.create_endpoint(EndpointName="big", EndpointConfigName="big")
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="big", WaiterConfig={"Delay": 1})
        order = runtime.invoke_endpoint_async(
            EndpointName="big",
            InputLocation="s3://sagemaker-big/in/recording.wav",
            InvocationTimeoutSeconds=ANSWER_WITHIN_S,
        )
        places = [order["OutputLocation"], order["FailureLocation"]]
        ends_s = time.monotonic() + ANSWER_WITHIN_S
        while time.monotonic() < ends_s:
            for place in places:
                key = place.removeprefix("s3://sagemaker-big/")
                if s3.list_objects_v2(Bucket="sagemaker-big", Prefix=key).get("Contents"):
                    content = s3.get_object(Bucket="sagemaker-big", Key=key)["Body"].read()
                    if place == places[1]:
                        sys.exit(f"measure_big_input: the order failed: {content.decode()}")
                    document: dict[str, Any] = json.loads(content)
                    return document
            time.sleep(1)
    sys.exit("measure_big_input: there was no result within an hour")


if __name__ == "__main__":
    main()
