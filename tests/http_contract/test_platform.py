"""What the platform sets in the environment, and where the server listens then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import DATA
from tests.http_contract.conftest import Server, free_port, start, stop, wait_ready
from transcriber.engines import environment

PLATFORM = {
    "SAGEMAKER_SAFE_PORT_RANGE": "1-1024",
    "SAGEMAKER_BATCH": "True",  # the local mode of AWS's Python SDK writes it so, batch transform "true"
    "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
    "SAGEMAKER_MULTI_MODEL": "false",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "SAGEMAKER_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
}
"""Batch transform's, multi-container endpoints', and what the Python SDK puts into every model."""


def processes_of(first: int) -> Iterator[int]:
    yield first
    for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        yield from processes_of(int(child))


def ports_of(process: int) -> set[int]:
    """List the ports that a process and its children listen on."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]": int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
    open_files = [link for one in processes_of(process) for link in Path(f"/proc/{one}/fd").iterdir()]
    return {listening[target] for link in open_files if (target := target_of(link)) in listening}


def target_of(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # it was closed meanwhile
        return ""


def test_it_listens_where_the_platform_says_and_nowhere_else(tmp_path: Path) -> None:
    """The second listener that SAGEMAKER_SAFE_PORT_RANGE is for is one that we do not have."""
    given, preferred = free_port(), free_port()
    server = start(tmp_path, "serve", port=given, SAGEMAKER_BIND_TO_PORT=str(given), PORT=str(preferred), **PLATFORM)
    try:
        wait_ready(server)

        assert ports_of(server.process.pid) == {given}
        assert server.send(DATA.joinpath("en-one-phrase.wav").read_bytes()).status == 200
    finally:
        stop(server)


def test_the_processor_is_used_as_far_as_it_goes(server: Server) -> None:
    """What is set by whoever starts it stays as it is."""
    told = Path(f"/proc/{server.process.pid}/environ").read_text().replace(":", "\0")  # so does glibc, as it reads them
    wanted = {name: os.environ.get(name, value) for name, value in environment.variables("cpu").items()}

    assert [name for name, value in wanted.items() if f"{name}={value}".replace(":", "\0") not in told] == []
