"""Two stores that speak S3 over HTTP: moto's, which behaves, and one that misbehaves as it is told."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client

SECRET = "a-secret-that-nobody-may-read"


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch, no_credentials: None) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 find nothing of the machine it runs on."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto_url: str, credentials: None) -> S3Client:
    """What fills moto's store; the bucket `recordings` is there and empty."""
    client = boto3.client("s3", endpoint_url=moto_url)
    client.create_bucket(Bucket="recordings")
    for found in client.list_objects_v2(Bucket="recordings").get("Contents", []):
        client.delete_object(Bucket="recordings", Key=found["Key"])
    return client


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class UnrulyStore:
    """A store that does to each request what the test says, by method.

    Attributes:
        seen: Method and path of each request, in order.
        patience: Set at the end of the test; a behaviour may wait for it.
    """

    url: str = ""
    head: Behaviour | None = None
    get: Behaviour | None = None
    seen: list[str] = field(default_factory=list)
    patience: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def unruly(credentials: None) -> Iterator[UnrulyStore]:
    store = UnrulyStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.act(store.head)

        def do_GET(self) -> None:
            self.act(store.get)

        def act(self, behaviour: Behaviour | None) -> None:
            assert behaviour is not None
            store.seen.append(f"{self.command} {self.path}")
            behaviour(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield store
    store.patience.set()
    server.shutdown()
    server.server_close()
    thread.join()


def answer(status: int, *, code: str = "", body: bytes = b"", length: int | None = None, **headers: str) -> Behaviour:
    """Answer with a status and, but to HEAD, a body: an error of that code, or the bytes given.

    Args:
        length: The length that is announced when it is not the body's; the connection is then cut after the body.
    """

    def behave(request: BaseHTTPRequestHandler) -> None:
        content = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode() if code else body
        request.send_response(status)
        request.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(content)
            request.close_connection = length is not None

    return behave


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Let no file of this process grow above 64 KiB: the disk complains as a full one does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
