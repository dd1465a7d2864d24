from __future__ import annotations

import io

import pytest

from transcriber.audio.sources import Upload
from transcriber.wire.job import Defaults


@pytest.fixture(scope="session")
def defaults() -> Defaults:
    return Defaults(vad_filter=True, return_segments=True)


@pytest.fixture(scope="session")
def upload() -> Upload:
    return Upload(file=io.BytesIO(b"RIFF"), size_bytes=4)
