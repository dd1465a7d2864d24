"""Everything a caller can get wrong: one clear sentence, the right status, nothing left behind, never a 500."""

from __future__ import annotations

import base64
import io
import json
import struct
import wave
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.conftest import DATA
from tests.http_contract.conftest import BUCKET, Server


def wav(seconds: float = 1.0, *, loudness: float = 0.0) -> bytes:
    noise = np.random.default_rng(0).standard_normal(round(16000 * seconds)) * loudness * 32767
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16000, 0, "NONE", ""))
        sound.writeframes(noise.astype("<i2").tobytes())
    return file.getvalue()


def flac_of_silence(seconds: int) -> bytes:
    """A small file that decodes to a long silence."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 160_000), np.int16), format="s16", layout="mono")
        frame.rate = 16000
        for _ in range(seconds // 10):
            frame.pts = None
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return file.getvalue()


def video_without_sound() -> bytes:
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return file.getvalue()


AUDIO = base64.b64encode(wav()).decode()
JSON = {"Content-Type": "application/json"}
FILE = ("file", "a.wav", wav())
PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)


@dataclass(frozen=True)
class Case:
    name: str
    status: int
    code: str
    says: str
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)


def fields(name: str, status: int, code: str, says: str, **document: Any) -> Case:
    return Case(name, status, code, says, json.dumps(document).encode(), JSON)


def bad_field(name: str, says: str, **document: Any) -> Case:
    return fields(name, 400, "malformed_request", says, audio_b64=AUDIO, **document)


def text(name: str, says: str, body: bytes) -> Case:
    return Case(name, 400, "malformed_request", says, body, JSON)


def not_audio(name: str, says: str, body: bytes, headers: dict[str, str] | None = None) -> Case:
    return Case(name, 415, "not_audio", says, body, headers or {"Content-Type": "audio/wav"})


def attributes(name: str, says: str, value: str) -> Case:
    return Case(name, 400, "malformed_request", says, wav(), {"X-Amzn-SageMaker-Custom-Attributes": value})


def multipart(*parts: tuple[str | None, str | None, bytes]) -> tuple[bytes, dict[str, str]]:
    boundary = "boundary"
    body = b""
    for name, filename, content in parts:
        words = "".join(f'; {word}="{value}"' for word, value in (("name", name), ("filename", filename)) if value)
        body += f"--{boundary}\r\nContent-Disposition: form-data{words}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def form(name: str, status: int, code: str, says: str, *parts: tuple[str | None, str | None, bytes]) -> Case:
    return Case(name, status, code, says, *multipart(*parts))


CASES = [
    not_audio("no body at all", "empty", b""),
    not_audio("random bytes", "sound", bytes(np.random.default_rng(1).integers(0, 256, 5000, np.uint8))),
    not_audio("zero bytes", "sound", bytes(5000)),
    not_audio("a picture", "PNG", PNG),
    not_audio("plain text", "sound", b"hello, this is not a recording at all\n" * 50),
    not_audio("a wav header without samples", "no", wav(0)),
    not_audio("a wav cut inside its header", "sound", wav()[:30]),
    not_audio("an mp3 of which only the tag is left", "sound", b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)),
    not_audio("a video without sound", "no sound", video_without_sound(), {"Content-Type": "video/mp4"}),
    not_audio("a playlist that names a file", "playlist", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"),
    text("not JSON", "JSON", b"{s3_uri: x}"),
    text("not UTF-8", "UTF-8", b'{"s3_uri": "\xff\xfe"}'),
    text("a list", "object", b"[1, 2]"),
    text("a number", "object", b"3"),
    text("nothing as JSON", "", b""),
    text("the same field twice", "more than once", b'{"task": "transcribe", "task": "translate", "audio_b64": ""}'),
    text("brackets without end", "nest", b"[" * 100_000),
    text("no source", "audio_b64", b"{}"),
    bad_field("two sources", "both", s3_uri=f"s3://{BUCKET}/a.wav"),
    bad_field("an unknown field", "beam_sise", beam_sise=5),
    bad_field("words for a number", "beam_size", beam_size="many"),
    bad_field("a number as text", "beam_size", beam_size="5"),
    bad_field("a fraction of a beam", "beam_size", beam_size=2.5),
    bad_field("no beams", "beam_size", beam_size=0),
    bad_field("too many beams", "beam_size", beam_size=1000),
    bad_field("true for a number", "beam_size", beam_size=True),
    bad_field("a boolean as text", "vad_filter", vad_filter="false"),
    bad_field("a boolean as number", "return_segments", return_segments=1),
    bad_field("an unknown language", "language", language="klingon"),
    bad_field("a language that is a number", "language", language=7),
    bad_field("an unknown task", "task", task="summarise"),
    bad_field("a hot temperature", "temperature", temperature=2),
    bad_field("a temperature in words", "temperature", temperature="warm"),
    bad_field("a format nobody knows", "response_format", response_format="docx"),
    bad_field("a suffix with a slash", "audio_suffix", audio_suffix="/../../etc/passwd"),
    bad_field("a prompt without end", "initial_prompt", initial_prompt="x" * 100_000),
    bad_field("a prompt that is a list", "initial_prompt", initial_prompt=["a"]),
    fields("base64 that is none", 400, "malformed_request", "base64", audio_b64="%%%"),
    fields("base64 that is a number", 400, "malformed_request", "audio_b64", audio_b64=12),
    fields("base64 of nothing", 415, "not_audio", "empty", audio_b64=""),
    fields("base64 of no audio", 415, "not_audio", "PNG", audio_b64=base64.b64encode(PNG).decode()),
    fields("a uri of another store", 400, "malformed_request", "s3://", s3_uri="https://example.com/a.wav"),
    fields("a uri without a key", 400, "malformed_request", "key", s3_uri=f"s3://{BUCKET}"),
    fields("a uri without a bucket", 400, "malformed_request", "bucket", s3_uri="s3:///a.wav"),
    fields("a uri of a bucket that cannot be", 400, "malformed_request", "bucket", s3_uri="s3://No_Bucket!/a.wav"),
    fields("an object that is missing", 404, "source_not_found", "s3://", s3_uri=f"s3://{BUCKET}/missing.wav"),
    fields("a bucket that is missing", 404, "source_not_found", "s3://", s3_uri="s3://nobody-has-this/a.wav"),
    fields("an object that is too large", 413, "too_large", "bytes", s3_uri=f"s3://{BUCKET}/large.bin"),
    fields("an object that is no audio", 415, "not_audio", "sound", s3_uri=f"s3://{BUCKET}/text.wav"),
    fields("an object that is empty", 415, "not_audio", "empty", s3_uri=f"s3://{BUCKET}/empty.wav"),
    Case("a body that is too large", 413, "too_large", "bytes", bytes(9 * 1024 * 1024), {}),
    Case("a JSON body that is too large", 413, "too_large", "bytes", b'{"audio_b64": "' + b"A" * 5_000_000, JSON),
    Case("a recording that is too long", 413, "too_large", "300", flac_of_silence(310), {}),
    Case("a small file of long silence", 413, "too_large", "300", flac_of_silence(20_000), {}),
    attributes("an attribute nobody knows", "beam_sise", "beam_sise=5"),
    attributes("an attribute with words for a number", "beam_size", "beam_size=many"),
    attributes("an attribute that is no boolean", "vad_filter", "vad_filter=perhaps"),
    Case("a form of answer nobody has", 406, "unacceptable_format", "accept", wav(), {"Accept": "image/png"}),
    form("a form without a file", 400, "malformed_request", "file", ("language", None, b"en")),
    form("a form with two files", 400, "malformed_request", "file", FILE, FILE),
    form("a form with an unknown field", 400, "malformed_request", "beam_sise", FILE, ("beam_sise", None, b"5")),
    form("a form with a bad number", 400, "malformed_request", "temperature", FILE, ("temperature", None, b"warm")),
    form("a form with a field without a name", 400, "malformed_request", "without a name", FILE, (None, None, b"en")),
    form("a form with a file without a name", 400, "malformed_request", "'file'", (None, "a.wav", wav())),
    form("a form whose file is empty", 415, "not_audio", "empty", ("file", "a.wav", b"")),
    Case("a form without a boundary", 400, "malformed_request", "", b"--x", {"Content-Type": "multipart/form-data"}),
]  # fmt: skip


@pytest.fixture
def objects(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="large.bin", Body=bytes(5 * 1024 * 1024))
    s3.put_object(Bucket=BUCKET, Key="text.wav", Body=b"not audio" * 100)
    s3.put_object(Bucket=BUCKET, Key="empty.wav", Body=b"")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_gets_one_sentence_and_the_right_status(
    server: Server, case: Case, request: pytest.FixtureRequest
) -> None:
    if b"s3_uri" in case.body:
        request.getfixturevalue("objects")
    answer = server.send(case.body, case.headers)

    assert answer.status == case.status, answer.body
    document = json.loads(answer.body)
    assert list(document) == ["error", "code"]
    assert document["code"] == case.code
    assert case.says.lower() in document["error"].lower()
    assert "Traceback" not in document["error"]
    assert "\n" not in document["error"]
    assert len(document["error"]) < 600
    assert str(server.scratch) not in document["error"]
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert list(server.scratch.iterdir()) == []


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["mp3", "flac", "ogg", "m4a", "webm"])
def test_a_file_that_was_cut_off_gives_what_is_there_or_is_refused(server: Server, name: str, share: float) -> None:
    for path in DATA.glob(f"*-phrase*.{name}"):
        whole = path.read_bytes()
        answer = server.send(whole[: int(len(whole) * share)])

        assert answer.status in (200, 415), answer.body


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/invocations", 405), ("PUT", "/ping", 405)]
)
def test_a_wrong_path_or_method_is_told_the_right_one(server: Server, method: str, path: str, status: int) -> None:
    answer = server.send(method=method, path=path)

    assert answer.status == status
    assert "/invocations" in json.loads(answer.body)["error"]


def test_a_header_that_lies_about_the_length_does_not_hold_the_server(server: Server) -> None:
    """A caller who breaks off while sending costs nobody anything."""
    import socket

    with socket.create_connection(("127.0.0.1", server.port)) as caller:
        caller.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + struct.pack("<I", 7)
        )
    assert server.send(method="GET", path="/ping").status == 200
