"""docs/migrating.md, run line by line against a real `./serve`, with boto3's and OpenAI's own clients."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from tests.conftest import DATA, ROOT
from tests.http_contract.conftest import CREDENTIALS, Server

PAGE = (ROOT / "docs" / "migrating.md").read_text("utf-8")
BLOCKS = {
    heading: re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for heading, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
SHARED = BLOCKS.pop("What all of them share")[0]
SAID = "Buy bread and coffee."
OWN_ADDRESS = "http://localhost:8080"


@pytest.fixture
def endpoint(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let boto3's default client send invocations to the server, as SageMaker would, and work beside a recording."""

    def to_the_container(request: Any, **_: object) -> None:
        assert urlsplit(request.url).path == "/endpoints/transcriber-realtime/invocations"
        request.url = f"http://127.0.0.1:{server.port}/invocations"

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.session.Session())
    session = boto3.DEFAULT_SESSION
    assert session is not None
    session.events.register("before-send.sagemaker-runtime.InvokeEndpoint", to_the_container)
    shutil.copy(DATA / "en-one-phrase.wav", tmp_path / "recording.wav")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("endpoint")
@pytest.mark.parametrize("heading", BLOCKS)
def test_the_lines_run_as_they_stand(server: Server, heading: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(SHARED, names)  # noqa: S102 - our own page
    for block in BLOCKS[heading]:
        exec(block.replace(OWN_ADDRESS, f"http://127.0.0.1:{server.port}"), names)  # noqa: S102
        printed = capsys.readouterr().out

        assert SAID in printed or "coffee." in printed
        if "client" in names:
            names.pop("client").close()


def test_every_server_has_lines() -> None:
    assert len(BLOCKS) == 5
    assert all(BLOCKS.values())
