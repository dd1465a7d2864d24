"""Files of the web, from a server on this machine that stands for all hosts of the world."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from transcriber.audio.disk import Disk
from transcriber.audio.fetch import Fetcher
from transcriber.audio.sources import WebAddress
from transcriber.audio.web import MOST_REDIRECTS, Web
from transcriber.errors import (
    MalformedRequest,
    SourceForbidden,
    SourceNotFound,
    SourceUnavailable,
    TooLarge,
    TranscriberError,
)
from transcriber.settings import load

PUBLIC = "93.184.216.34"
HOST = "media.example.com"
URL = f"http://{HOST}/a.wav?signature=secret"


@dataclass
class Internet:
    """What a `Web` is given instead of the resolver and of sockets.

    Attributes:
        port: Of the server that stands for every host.
        addresses: Host -> its addresses, one list for each time it is asked for; the last stays.
        asked: Each address that was connected to, with its port.
        replies: What the server says, one after the other: raw bytes.
        heads: What it was sent.
    """

    port: int = 0
    addresses: dict[str, list[list[str]]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    patience: threading.Event = field(default_factory=threading.Event)
    is_slow: bool = False

    def resolve(self, host: str, port: int) -> Sequence[str]:
        answers = self.addresses.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int, within_s: float) -> socket.socket:
        self.asked.append((address, port))
        return socket.create_connection(("127.0.0.1", self.port), timeout=within_s)

    def web(
        self, *hosts: str, limit_bytes: int = 1000, limit_s: float = 20.0, trust: ssl.SSLContext | None = None
    ) -> Web:
        return Web(
            disk=Disk(10**9),
            allowed_hosts=hosts or ("*",),
            limit_bytes=limit_bytes,
            limit_s=limit_s,
            resolve=self.resolve,
            connect=self.connect,
            trust=lambda: trust or ssl.create_default_context(),
        )

    def read(self, url: str = URL, *hosts: str, limit_bytes: int = 1000, limit_s: float = 20.0) -> bytes:
        with self.web(*hosts, limit_bytes=limit_bytes, limit_s=limit_s).open(WebAddress(url=url)) as file:
            return file.read()


def reply(status: int = 200, body: bytes = b"RIFF", *, length: int | None = None, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def serve(internet: Internet, context: ssl.SSLContext | None = None) -> Iterator[Internet]:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            head = b""
            while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
                head += line
            if not head:
                return
            internet.heads.append(head.decode())
            said = internet.replies.pop(0)
            if internet.is_slow:
                for byte in said:
                    self.wfile.write(bytes([byte]))
                    if internet.patience.wait(0.02):
                        return
            else:
                self.wfile.write(said)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left is what tests are about
    internet.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield internet
    internet.patience.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def internet() -> Iterator[Internet]:
    yield from serve(Internet())


def refusal(internet: Internet, failure: type[TranscriberError], url: str = URL, *hosts: str, **limits: float) -> str:
    with pytest.raises(TranscriberError) as refused:
        internet.read(url, *hosts, **limits)  # type: ignore[arg-type]  # limits are numbers
    message = refused.value.message
    assert type(refused.value) is failure, message
    assert message.isprintable()
    assert "secret" not in message
    return message


def test_a_file_is_read(internet: Internet) -> None:
    internet.replies = [reply(body=b"x" * 1000)]

    assert internet.read() == b"x" * 1000
    assert internet.asked == [(PUBLIC, 80)]
    assert internet.heads[0].startswith("GET /a.wav?signature=secret HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}\r\n" in internet.heads[0]
    assert "Authorization" not in internet.heads[0]
    assert "Cookie" not in internet.heads[0]


def test_an_answer_in_chunks_is_read(internet: Internet) -> None:
    internet.replies = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n0\r\n\r\n"]

    assert internet.read() == b"RIFF"


def test_an_answer_without_a_length_is_read_to_its_end(internet: Internet) -> None:
    internet.replies = [b"HTTP/1.0 200 OK\r\n\r\nRIFF"]

    assert internet.read() == b"RIFF"


def test_the_second_address_is_tried_when_the_first_does_not_answer(internet: Internet) -> None:
    internet.addresses[HOST] = [["93.184.216.35", PUBLIC]]
    internet.replies = [reply()]
    web = internet.web()
    tried: list[str] = []

    def connect(address: str, port: int, within_s: float) -> socket.socket:
        tried.append(address)
        if len(tried) == 1:
            raise ConnectionRefusedError
        return internet.connect(address, port, within_s)

    web._connect = connect
    with web.open(WebAddress(url=URL)) as file:
        assert file.read() == b"RIFF"
    assert tried == ["93.184.216.35", PUBLIC]


def test_nothing_is_fetched_unless_a_setting_allows_it() -> None:
    with (
        pytest.raises(SourceForbidden, match="ALLOWED_URL_HOSTS"),
        Fetcher(load({}), disk=Disk(10**9)).open(WebAddress(url="http://127.0.0.1/")),
    ):
        pass


def test_even_an_allowed_host_is_not_asked_at_a_private_address() -> None:
    """With the real resolver and real sockets."""
    with (
        pytest.raises(SourceForbidden, match="not public"),
        Fetcher(load({"ALLOWED_URL_HOSTS": "*"}), disk=Disk(10**9)).open(WebAddress(url="http://localhost/")),
    ):
        pass


@pytest.mark.parametrize(
    ("hosts", "url", "is_allowed"),
    [
        (("media.example.com",), "http://media.example.com/a", True),
        (("media.example.com",), "http://MEDIA.example.com/a", True),
        (("media.example.com",), "http://example.com/a", False),
        (("media.example.com",), "http://a.media.example.com/a", False),
        (("media.example.com",), "http://media.example.com.evil.net/a", False),
        (("*.example.com",), "http://media.example.com/a", True),
        (("*.example.com",), "http://a.b.example.com/a", True),
        (("*.example.com",), "http://example.com/a", False),
        (("*.example.com",), "http://evilexample.com/a", False),
        (("a.net", "*.example.com"), "http://a.net/a", True),
        (("*",), "http://anything.net/a", True),
    ],
)
def test_only_allowed_hosts_are_asked(internet: Internet, hosts: tuple[str, ...], url: str, is_allowed: bool) -> None:
    internet.replies = [reply()]
    if is_allowed:
        assert internet.read(url, *hosts) == b"RIFF"
    else:
        assert "ALLOWED_URL_HOSTS" in refusal(internet, SourceForbidden, url, *hosts)
        assert internet.asked == []


@pytest.mark.parametrize(
    ("url", "failure", "says"),
    [
        ("ftp://media.example.com/a", MalformedRequest, "'ftp'"),
        ("file:///etc/passwd", MalformedRequest, "'file'"),
        ("//media.example.com/a", MalformedRequest, "https or http"),
        ("http:///a", MalformedRequest, "no host"),
        ("http://user:secret@media.example.com/a", MalformedRequest, "credentials"),
        ("http://media.example.com\\@evil.net/", MalformedRequest, "credentials"),
        ("http://evil.net\\.example.com/", MalformedRequest, "no host"),
        ("http://media.example.com:22/a", SourceForbidden, "port 22"),
        ("http://media.example.com:443/a", SourceForbidden, "port 443"),
        ("http://media.example.com:many/a", MalformedRequest, "understood"),
        ("http://[::1/a", MalformedRequest, "understood"),
        ("http://media.example.com/a\r\nHost: evil", MalformedRequest, "white space"),
        ("http://media.exa\tmple.com/a", MalformedRequest, "white space"),
        ("http://mediä.example.com/a", MalformedRequest, "percent-encoded"),
        ("http://media.example.com/" + "a" * 5000, MalformedRequest, "4,096"),
    ],
)
def test_an_address_that_cannot_be_asked_is_refused(
    internet: Internet, url: str, failure: type[TranscriberError], says: str
) -> None:
    assert says in refusal(internet, failure, url)
    assert internet.asked == []


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["169.254.169.254"], ["10.0.0.7"], ["::1"], [PUBLIC, "10.0.0.7"], []]
)
def test_a_host_with_an_address_that_is_not_public_is_not_asked(internet: Internet, addresses: list[str]) -> None:
    internet.addresses[HOST] = [addresses]

    assert "not public" in refusal(internet, SourceForbidden)
    assert internet.asked == []


def test_a_name_is_resolved_once_and_that_address_is_asked(internet: Internet) -> None:
    """DNS rebinding: the second answer would lead inside."""
    internet.addresses[HOST] = [[PUBLIC], ["127.0.0.1"]]
    internet.replies = [reply()]

    assert internet.read() == b"RIFF"
    assert internet.asked == [(PUBLIC, 80)]
    assert internet.addresses[HOST] == [["127.0.0.1"]]


def test_redirects_are_followed(internet: Internet) -> None:
    internet.replies = [reply(302, Location="/b"), reply(307, Location="http://b.example.com/c"), reply()]

    assert internet.read() == b"RIFF"
    assert [head.splitlines()[0] for head in internet.heads[1:]] == ["GET /b HTTP/1.1", "GET /c HTTP/1.1"]


def test_each_redirect_is_judged_anew(internet: Internet) -> None:
    internet.addresses["inside.example.com"] = [["169.254.169.254"]]
    for location, says in [
        ("http://inside.example.com/latest/meta-data", "not public"),
        ("http://169.254.169.254/latest/meta-data", "ALLOWED_URL_HOSTS"),
        ("http://other.net/", "ALLOWED_URL_HOSTS"),
        ("http://media.example.com:8080/", "port 8080"),
    ]:
        internet.replies = [reply(302, Location=location)]
        assert says in refusal(internet, SourceForbidden, URL, "*.example.com")
    internet.replies = [reply(301, Location="file:///etc/passwd")]
    refusal(internet, MalformedRequest)
    internet.replies = [reply(301, Location="http://user:secret@media.example.com/")]
    refusal(internet, MalformedRequest)


def test_redirects_come_to_an_end(internet: Internet) -> None:
    internet.replies = [reply(302, Location="/again") for _ in range(MOST_REDIRECTS + 1)]

    assert f"more than {MOST_REDIRECTS} times" in refusal(internet, SourceForbidden)
    assert internet.replies == []


def test_a_redirect_to_nowhere_is_refused(internet: Internet) -> None:
    for location in ({}, {"Location": "http://[::1/"}):
        internet.replies = [reply(302, **location)]
        assert "nowhere" in refusal(internet, SourceUnavailable)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (401, SourceForbidden),
        (403, SourceForbidden),
        (404, SourceNotFound),
        (410, SourceNotFound),
        (204, SourceForbidden),
        (429, SourceUnavailable),
        (500, SourceUnavailable),
        (503, SourceUnavailable),
    ],
)
def test_a_status_means_what_it_says(internet: Internet, status: int, failure: type[TranscriberError]) -> None:
    internet.replies = [reply(status)]

    assert str(status) in refusal(internet, failure)


def test_a_file_that_says_it_is_too_large_is_refused_at_once(internet: Internet) -> None:
    internet.replies = [reply(length=10**12)]

    assert "1,000" in refusal(internet, TooLarge)


@pytest.mark.parametrize("head", ["Content-Length: 5", "Content-Length: -5", "X: y", "Transfer-Encoding: chunked"])
def test_a_length_that_lies_is_not_believed(internet: Internet, head: str) -> None:
    body = b"%x\r\n" % 5000 + b"x" * 5000 + b"\r\n0\r\n\r\n" if "chunked" in head else b"x" * 5000
    internet.replies = [f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + body]

    if head == "Content-Length: 5":
        assert internet.read() == b"x" * 5
    else:
        refusal(internet, TooLarge)


@pytest.mark.parametrize(
    "said",
    [
        reply(length=900),
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nRIFF",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_a_host_that_breaks_off_or_speaks_no_http_is_unavailable(internet: Internet, said: bytes) -> None:
    internet.replies = [said]

    assert "try again" in refusal(internet, SourceUnavailable)


@pytest.mark.parametrize("said", [reply(body=b"x" * 900), reply(body=b"", X="y" * 900)])
def test_a_host_that_trickles_is_left(internet: Internet, said: bytes) -> None:
    """Every byte comes well within any timeout of a socket, the last would come after many seconds."""
    internet.is_slow = True
    internet.replies = [said]

    assert "longer than 0.3 seconds" in refusal(internet, SourceUnavailable, limit_s=0.3)


def test_a_host_that_nobody_knows_is_not_found(internet: Internet) -> None:
    for number, failure in [(socket.EAI_NONAME, SourceNotFound), (socket.EAI_AGAIN, SourceUnavailable)]:
        web = internet.web()

        def resolve(host: str, port: int, number: int = number) -> Sequence[str]:
            raise socket.gaierror(number, "no")

        web._resolve = resolve
        with pytest.raises(failure), web.open(WebAddress(url=URL)):
            pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `HOST` that nobody but this module trusts, and its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def safe_internet(certificate: Path) -> Iterator[Internet]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    yield from serve(Internet(), context)


def test_https_is_spoken_to_the_name_at_the_address_that_was_judged(safe_internet: Internet, certificate: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificate))
    safe_internet.replies = [reply(), reply(302, Location=f"http://{HOST}/")]

    with safe_internet.web(trust=trust).open(WebAddress(url=f"https://{HOST}/")) as file:
        assert file.read() == b"RIFF"
    assert safe_internet.asked == [(PUBLIC, 443)]
    with (
        pytest.raises(SourceForbidden, match="https to http"),
        safe_internet.web(trust=trust).open(WebAddress(url=f"https://{HOST}/")),
    ):
        pass


@pytest.mark.parametrize("url", [f"https://{HOST}/", "https://other.example.com/"])
def test_a_certificate_that_is_not_trusted_or_of_another_host_is_refused(
    safe_internet: Internet, certificate: Path, url: str
) -> None:
    trust = ssl.create_default_context(cafile=str(certificate)) if HOST not in url else None

    with pytest.raises(SourceForbidden, match="certificate"), safe_internet.web(trust=trust).open(WebAddress(url=url)):
        pass
    assert safe_internet.heads == []
