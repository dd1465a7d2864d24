"""What the server's settings ask of gunicorn beyond its own settings; the rest is seen over HTTP."""

from __future__ import annotations

import runpy
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.unreader import SocketUnreader

from tests.conftest import ROOT
from transcriber.audio.spool import BLOCK_BYTES


class Socket:
    def __init__(self) -> None:
        self.asked: list[int] = []

    def recv(self, size: int) -> bytes:
        self.asked.append(size)
        return bytes(size)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(SocketUnreader, "max_body_chunk", SocketUnreader.max_body_chunk)  # so that it comes back
    return runpy.run_path(str(ROOT / "gunicorn.conf.py"))


@pytest.mark.usefixtures("conf")
def test_no_more_is_taken_from_the_socket_than_a_block() -> None:
    sock = Socket()
    unreader = SocketUnreader(sock)

    assert len(unreader.read(BLOCK_BYTES, read_ahead=10 * BLOCK_BYTES)) == BLOCK_BYTES
    assert sock.asked == [BLOCK_BYTES]


def test_no_access_log_is_put_together(conf: dict[str, Any]) -> None:
    config = Config()
    config.set("logconfig_dict", conf["logconfig_dict"])

    assert conf["logger_class"](config).access_log_enabled is False
