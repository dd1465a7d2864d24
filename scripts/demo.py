"""Show the container at work on this machine: no AWS account, no GPU, no network.

Starts `serve` with the demo model and a stand-in for S3, sends the sample recordings as JSON with base64, as raw bytes
and as an S3 object, prints what comes back next to what was said, writes subtitles, and stops everything it started.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
SUBTITLES = ROOT / "build" / "demo.srt"
BUCKET = "demo-recordings"
READY_WITHIN_S = 120
ANSWER_WITHIN_S = 120
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_DEFAULT_REGION": "us-east-1"}


def main() -> int:
    """Run the show; the exit status is 0 when every recording came back as text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port to serve on; 0, the default, takes a free one")
    arguments = parser.parse_args()
    recordings = [json.loads(line) for line in (DATA / "manifest.jsonl").read_text("utf-8").splitlines()]
    recordings = [recording for recording in recordings if recording["text"]]
    os.environ.update(CREDENTIALS)
    with stand_in_for_s3() as s3_url, server(arguments.port or free_port(), s3_url) as url:
        short = [recording for recording in recordings if recording["duration"] < 60]
        long = [recording for recording in recordings if recording["duration"] >= 60]
        answered = [show(url, recording, number, s3_url) for number, recording in enumerate(short)]
        for recording in long:
            show_subtitles(url, recording)
    print("\nServer stopped. To keep one running for curl: make serve")
    return 0 if all(answered) else 1


@contextmanager
def stand_in_for_s3() -> Iterator[str]:
    """Run moto's S3 on this machine and yield its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # its access log
    stand_in = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    stand_in.start()
    host, port = stand_in.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
    try:
        yield url
    finally:
        stand_in.stop()


@contextmanager
def server(port: int, s3_url: str) -> Iterator[str]:
    """Run `serve`, wait until /ping says that it is ready, yield its address, and stop it."""
    url = f"http://127.0.0.1:{port}"
    log_file = ROOT / "build" / "demo.log"
    log_file.parent.mkdir(exist_ok=True)
    print(f"Starting ./serve on {url} (its log: {log_file.relative_to(ROOT)})")
    environment = {**os.environ, "PORT": str(port), "S3_ENDPOINT_URL": s3_url}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "serve")], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until_ready(url, process, log_file)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log_file: Path) -> None:
    """Ask /ping as SageMaker does and tell each change of its answer."""
    started_s = time.monotonic()
    last = ""
    while time.monotonic() - started_s < READY_WITHIN_S:
        if process.poll() is not None:
            sys.exit(f"demo: the server ended with status {process.returncode}; its log is {log_file}")
        said = ping(url)
        if said != last:
            print(f"  {time.monotonic() - started_s:5.1f} s  GET /ping -> {said}")
            last = said
        if said.startswith("200"):
            return
        time.sleep(0.1)
    sys.exit(f"demo: the server was not ready within {READY_WITHIN_S} s; its log is {log_file}")


def ping(url: str) -> str:
    """Return what /ping says, in words."""
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=2):
            return "200 ready"
    except urllib.error.HTTPError as error:
        return f"{error.code} loading"
    except OSError:
        return "no answer yet"


def show(url: str, recording: Mapping[str, Any], number: int, s3_url: str) -> bool:
    """Send one recording in one of the three ways and print what came back."""
    path = DATA / recording["path"]
    way = ("JSON base64", "raw bytes", "S3 object")[number % 3]
    started_s = time.monotonic()
    if way == "raw bytes":
        answer = json.loads(post(url, path.read_bytes(), {}))
    elif way == "S3 object":
        boto3.client("s3", endpoint_url=s3_url).upload_file(str(path), BUCKET, path.name)
        answer = json.loads(post_json(url, {"s3_uri": f"s3://{BUCKET}/{path.name}"}))
    else:
        answer = json.loads(post_json(url, {"audio_b64": base64.b64encode(path.read_bytes()).decode()}))
    took_ms = (time.monotonic() - started_s) * 1000
    print(
        f"\n{path.name}  {recording['duration']:.1f} s, as {way}: {took_ms:.0f} ms,"
        f" language {answer['detected_language']}"
        f"\n  said   {recording['text']}\n  heard  {answer['text']}"
    )
    return bool(answer["text"])


def show_subtitles(url: str, recording: Mapping[str, Any]) -> None:
    """Ask for the subtitles of a long recording, write them and print the first."""
    started_s = time.monotonic()
    srt = post(url, (DATA / recording["path"]).read_bytes(), {"Accept": "application/x-subrip"}).decode()
    took_s = time.monotonic() - started_s
    SUBTITLES.write_text(srt, "utf-8")
    cues = srt.strip().split("\n\n")
    print(f"\n{recording['path']}  {recording['duration']:.0f} s, as subtitles: {took_s:.1f} s, {len(cues)} cues")
    print("\n\n".join(cues[:4]))
    print(f"...\nThe whole file: {SUBTITLES.relative_to(ROOT)}")


def post_json(url: str, document: Mapping[str, object]) -> bytes:
    """Send one JSON body to /invocations."""
    return post(url, json.dumps(document).encode(), {"Content-Type": "application/json"})


def post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Send one body to /invocations; the process ends with the container's own sentence when it is refused."""
    headers = {"Content-Type": "application/octet-stream", **headers}
    request = urllib.request.Request(f"{url}/invocations", data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        sys.exit(f"demo: {error.code} {error.read().decode()}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
