#!/usr/bin/env python3
"""Start a built image as SageMaker does, wait until it is ready, send it one recording, stop it.

The container gets the argument `serve` and can write to /tmp and nowhere else. Printed are the size of the image, how
long it took to become ready, the answer, and how it stopped. The status is 0 when all of that went well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RECORDING = Path(__file__).resolve().parents[1] / "tests" / "data" / "en-two-phrases.mp3"

STOP_WITHIN_S = 30.0
"""What SageMaker grants between SIGTERM and SIGKILL."""

READ_ONLY = 'echo $$ >/run/check/pid && mount -t tmpfs tmpfs /tmp && mount -o remount,ro,bind / && exec "$@"'
"""What docker's --read-only and --tmpfs do, for buildah, which has neither, nor hands signals on to what it runs."""


MODEL_DATA = "/opt/ml/model"
"""Where SageMaker puts what `ModelDataUrl` names."""

Start = tuple[list[str], Callable[[], int | None]]
"""The command that starts a container, and what tells the process to signal: None when that is the command itself."""


class CheckError(Exception):
    """The image did not do what it should; the message is one line."""


def main() -> None:
    """Check the image that the command line names, or end with status 1 and one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="?", default="transcriber:cpu", help="name of the image (default: %(default)s)")
    parser.add_argument("--recording", type=Path, default=RECORDING, help="what to send (default: one of the tests)")
    parser.add_argument("--port", type=int, default=8080, help="port of this machine to use (default: %(default)s)")
    parser.add_argument(
        "--wait", type=float, default=480, metavar="SECONDS", help="how long it may load (default: %(default)s)"
    )
    parser.add_argument(
        "--model-data",
        type=Path,
        metavar="FOLDER",
        help=f"put a model's folder where SageMaker puts model data, {MODEL_DATA} (default: the model that is baked)",
    )
    parser.add_argument("--gpus", metavar="WHICH", help="which GPUs docker lends it, such as all (default: none)")
    parser.add_argument(
        "--runner", choices=["docker", "buildah"], help="default: docker when its daemon answers, else buildah"
    )
    arguments = parser.parse_args()
    runner = arguments.runner or _runner()
    model: Path | None = arguments.model_data
    if model and not model.is_dir():
        sys.exit(f"run_image_check: --model-data {model} is no folder")
    lent = [] if model is None else ["--volume", f"{model.resolve()}:{MODEL_DATA}:ro"]
    try:
        with _running(runner, arguments.image, port=arguments.port, gpus=arguments.gpus, lent=lent) as process:
            began = time.monotonic()
            _wait_until_ready(process, port=arguments.port, wait_s=arguments.wait)
            print(f"ready after {time.monotonic() - began:.1f} s", flush=True)
            _transcribe(arguments.recording, port=arguments.port)
    except CheckError as error:
        sys.exit(f"run_image_check: {error}")


def _runner() -> str:
    if shutil.which("docker") and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "docker"
    if shutil.which("buildah"):
        return "buildah"
    sys.exit("run_image_check: neither a docker daemon nor buildah is here; install one of them")


@contextmanager
def _running(
    runner: str, image: str, *, port: int, gpus: str | None, lent: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    start = _docker if runner == "docker" else _buildah
    with start(image, port=port, gpus=gpus, lent=lent) as (command, first_process):
        process = subprocess.Popen(command)
        try:
            yield process
            began = time.monotonic()
            os.kill(first_process() or process.pid, signal.SIGTERM)
            status = process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise CheckError(f"SIGTERM did not end the container within {STOP_WITHIN_S:.0f} s") from error
        finally:
            if process.poll() is None:
                os.kill(first_process() or process.pid, signal.SIGKILL)
                process.wait()
    print(f"stopped {time.monotonic() - began:.1f} s after SIGTERM, with status {status}")
    if status:
        raise CheckError("SIGTERM must end the container with status 0")


@contextmanager
def _docker(image: str, *, port: int, gpus: str | None, lent: list[str]) -> Iterator[Start]:
    size = _output("docker", "image", "inspect", "--format", "{{.Size}}", image)
    print(f"{image}: {int(size) / 1e6:,.0f} MB", flush=True)
    name = f"image-check-{uuid.uuid4().hex[:8]}"
    options = ["--rm", "--name", name, "--read-only", "--tmpfs", "/tmp", "--publish", f"127.0.0.1:{port}:8080"]  # noqa: S108
    options += [*lent, *(["--gpus", gpus] if gpus else [])]
    try:
        yield ["docker", "run", *options, image, "serve"], lambda: None
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


@contextmanager
def _buildah(image: str, *, port: int, gpus: str | None, lent: list[str]) -> Iterator[Start]:
    if gpus:
        raise CheckError("buildah lends no GPU; use docker")
    size = json.loads(_output("buildah", "images", "--json", image))[0]["size"]
    print(f"{image}: {size}", flush=True)
    entrypoint = json.loads(_output("buildah", "inspect", "--type", "image", image))["Docker"]["config"]["Entrypoint"]
    container = _output("buildah", "from", image)
    try:
        with tempfile.TemporaryDirectory() as folder:
            pid = Path(folder) / "pid"
            options = ["--isolation", "chroot", "--cap-add", "CAP_SYS_ADMIN", "--volume", f"{folder}:/run/check", *lent]
            options += ["--env", f"PORT={port}", container, "--", "sh", "-c", READ_ONLY, "sh"]
            yield ["buildah", "run", *options, *entrypoint, "serve"], lambda: int(pid.read_text("utf-8"))
    finally:
        subprocess.run(["buildah", "rm", container], capture_output=True, check=False)


def _output(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CheckError(f"{' '.join(command)}: {ended.stderr.strip().splitlines()[-1]}")
    return ended.stdout.strip()


def _wait_until_ready(process: subprocess.Popen[bytes], *, port: int, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CheckError(f"the container ended with status {process.returncode}; its log stands above")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise CheckError(f"/ping did not answer 200 within {wait_s:.0f} s")


def _transcribe(recording: Path, *, port: int) -> None:
    # The type that says nothing: so an asynchronous endpoint sends a recording.
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data=recording.read_bytes())
    request.add_header("Content-Type", "application/octet-stream")
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise CheckError(
            f"/invocations answered {error.code}: {error.read(2048).decode('utf-8', 'replace')}"
        ) from error
    except OSError as error:
        raise CheckError(f"/invocations did not answer: {error}") from error
    print(f"{recording.name} transcribed in {time.monotonic() - began:.2f} s:")
    print(json.dumps(answer, ensure_ascii=False, indent=2), flush=True)


if __name__ == "__main__":
    main()
