"""What a file is told by its bytes: an asynchronous endpoint sends any content type, a wrong one, or none."""

from __future__ import annotations

import json

import pytest

from tests.conftest import DATA
from tests.http_contract.conftest import Server

FILES = {
    "wav": "en-one-phrase.wav",
    "mp3": "de-one-phrase.mp3",
    "flac": "es-two-phrases.flac",
    "ogg": "fr-two-phrases.ogg",
    "m4a": "de-three-phrases.m4a",
    "webm": "zh-two-phrases.webm",
}
TYPES = {
    "none": None,
    "octet-stream": "application/octet-stream",
    "another sound": "audio/amr",
    "a picture": "image/png",
    "text": "text/csv; charset=utf-8",
    "a form's": "application/x-www-form-urlencoded",
    "no type at all": ";;;",
}


@pytest.fixture(scope="session")
def expected(server: Server) -> dict[str, bytes]:
    """What each file says with its own type, if there is one."""
    own = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "m4a": "audio/mp4", "webm": "audio/webm"}
    return {
        kind: server.send(DATA.joinpath(name).read_bytes(), {"Content-Type": own.get(kind, "audio/flac")}).body
        for kind, name in FILES.items()
    }


@pytest.mark.parametrize("content_type", TYPES.values(), ids=TYPES)
@pytest.mark.parametrize("kind", FILES)
def test_the_bytes_say_what_a_file_is(
    server: Server, expected: dict[str, bytes], kind: str, content_type: str | None
) -> None:
    answer = server.send(
        DATA.joinpath(FILES[kind]).read_bytes(), {"Content-Type": content_type} if content_type else {}
    )

    assert answer.status == 200
    assert json.loads(answer.body)["text"]
    assert answer.body == expected[kind]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=b"])
def test_sound_that_claims_to_be_a_document_is_told_what_it_claims_to_be(server: Server, content_type: str) -> None:
    answer = server.send(DATA.joinpath(FILES["mp3"]).read_bytes(), {"Content-Type": content_type})

    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "malformed_request"
