"""A file on the web -> a bounded local file. The only place where this container asks hosts that its callers name.

A caller could name what only the container can reach: the metadata of the instance, a neighbour in the network, itself.
So nothing is asked unless the operator allows its host, and then

- only over http or https, on their own ports, without credentials in the address;
- only at public addresses: the name is resolved once, every address it has is looked at, and the connection goes to
  one of those very addresses, so that the name cannot lead elsewhere a moment later;
- redirects are followed a few times, each judged as if the caller had named it, and never from https to http;
- bytes and seconds are bounded, whatever the answer says of itself.

Messages name hosts and nothing else of an address: paths and queries may carry signatures.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urljoin, urlsplit

from transcriber.audio.disk import Disk
from transcriber.audio.public import is_public
from transcriber.audio.sources import Upload, WebAddress
from transcriber.audio.spool import spool
from transcriber.errors import MalformedRequest, SourceForbidden, SourceNotFound, SourceUnavailable

if TYPE_CHECKING:  # a module that only type checkers have
    from _typeshed import WriteableBuffer

MOST_REDIRECTS = 5
"""Storage services and shorteners take one or two."""

LONGEST_URL = 4096
"""Characters; presigned addresses have some 1,500."""

RETRY_AFTER_S = 5
"""Seconds until a host that failed is worth another try."""

PORTS = {"http": 80, "https": 443}

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?|[0-9a-f:.]{2,45}", re.ASCII)
"""A name, an IPv4 address or an IPv6 address, in lower case."""

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")

Resolve = Callable[[str, int], Sequence[str]]
"""A host and a port -> the addresses of that host, as text. Raises OSError."""

Connect = Callable[[str, int, float], socket.socket]
"""An address, a port and seconds -> a connection made within them. Raises OSError."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver, which has time limits of its own (resolv.conf)."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for *_, place in found]


def connect(address: str, port: int, within_s: float) -> socket.socket:
    """Connect to an address, not a name."""
    return socket.create_connection((address, port), timeout=within_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An address that may be asked."""

    url: str
    scheme: str
    host: str
    port: int
    target: str


class Web:
    """Opens files on the web; one for the process, used by many threads at once."""

    def __init__(
        self,
        *,
        disk: Disk,
        allowed_hosts: Sequence[str],
        limit_bytes: int,
        limit_s: float,
        resolve: Resolve = resolve,
        connect: Connect = connect,
        clock: Callable[[], float] = time.monotonic,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
    ) -> None:
        """Store the settings.

        Args:
            disk: Where files are put.
            allowed_hosts: Names in lower case; `*.example.com` is every name below, `*` every public host.
            limit_bytes: The most that is taken of one file.
            limit_s: The longest that one file may take, redirects included.
            resolve: What knows the addresses of a host.
            connect: What connects to one of them.
            clock: Seconds, ascending.
            trust: What makes the rules for certificates.
        """
        self._disk = disk
        self._allowed_hosts = tuple(allowed_hosts)
        self._limit_bytes = limit_bytes
        self._limit_s = limit_s
        self._resolve = resolve
        self._connect = connect
        self._clock = clock
        self._trust = trust

    @contextmanager
    def open(self, source: WebAddress) -> Iterator[BinaryIO]:
        """Lend a seekable file with the bytes of a file on the web, read from its beginning.

        Yields:
            The file; closed when the block is left.

        Raises:
            MalformedRequest: The address is none of http or https, or cannot be understood.
            SourceForbidden: The settings do not allow the host, it has no public address, or it refuses.
            SourceNotFound: There is no such host or file.
            SourceUnavailable: The host does not answer, breaks off, or takes too long.
            TooLarge: The file is larger than the settings allow.
            Busy: There is no room for it on disk.
        """
        until_s = self._clock() + self._limit_s
        with ExitStack() as stack:
            yield self._fetched(source.url, until_s, stack).file

    def _fetched(self, url: str, until_s: float, stack: ExitStack) -> Upload:
        """Follow redirects to the file and spool it; the stack closes it."""
        place = self._place(url)
        for _ in range(MOST_REDIRECTS + 1):
            with _our_words(place.host, self._limit_s), closing(self._connected(place, until_s)) as line:
                answer = _asked(place, _Bounded(line, until_s, self._clock))
                if answer.status not in REDIRECTS:
                    _refuse(answer.status, place.host)
                    return self._spooled(answer, place.host, stack)
                place = self._redirected(place, answer.headers.get("Location"))
        raise SourceForbidden(
            f"the host {place.host!r} redirects more than {MOST_REDIRECTS} times; name the file itself"
        )

    def _spooled(self, answer: http.client.HTTPResponse, host: str, stack: ExitStack) -> Upload:
        announced_bytes = answer.length
        what = f"the file at {host!r}"
        upload = stack.enter_context(
            spool(answer, disk=self._disk, limit_bytes=self._limit_bytes, announced_bytes=announced_bytes, what=what)
        )
        if announced_bytes is not None and upload.size_bytes < announced_bytes:
            raise SourceUnavailable(
                f"{what} broke off after {upload.size_bytes:,} of {announced_bytes:,} bytes; try again",
                retry_after_s=RETRY_AFTER_S,
            )
        return upload

    def _place(self, url: str) -> _Place:
        """Understand an address, and refuse it unless its host is allowed."""
        if not self._allowed_hosts:
            raise SourceForbidden(
                "this container fetches nothing from the web: send the audio itself, or ask its operator to allow the "
                "host (ALLOWED_URL_HOSTS)"
            )
        if len(url) > LONGEST_URL or _UNPRINTABLE.search(url):
            raise MalformedRequest(
                f"the address of the audio must have at most {LONGEST_URL:,} characters of ASCII and no white space; "
                "write others percent-encoded"
            )
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise MalformedRequest("the address of the audio cannot be understood; write https://host/path") from error
        if parts.scheme not in PORTS:
            raise MalformedRequest(
                f"the address of the audio has the scheme {parts.scheme[:20]!r}, but must be https or http"
            )
        if "@" in parts.netloc:
            raise MalformedRequest("the address of the audio holds credentials, which are not sent; leave them out")
        if not _HOST.fullmatch(host):
            raise MalformedRequest("the address of the audio has no host that can be asked; write https://host/path")
        if port not in (None, PORTS[parts.scheme]):
            raise SourceForbidden(
                f"the address of the audio names port {port}, but {parts.scheme} is asked on {PORTS[parts.scheme]} only"
            )
        if not any(_allows(allowed, host) for allowed in self._allowed_hosts):
            raise SourceForbidden(
                f"this container may not fetch audio from {host!r}; its operator says from where it may "
                "(ALLOWED_URL_HOSTS)"
            )
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _Place(url=url, scheme=parts.scheme, host=host, port=PORTS[parts.scheme], target=target)

    def _redirected(self, place: _Place, location: str | None) -> _Place:
        if not location:
            raise SourceUnavailable(f"the host {place.host!r} redirects to nowhere; name the file itself")
        try:
            url = urljoin(place.url, location)
        except ValueError as error:
            raise SourceUnavailable(f"the host {place.host!r} redirects to nowhere; name the file itself") from error
        new = self._place(url)
        if place.scheme == "https" and new.scheme == "http":
            raise SourceForbidden(f"the host {place.host!r} redirects from https to http, which is not followed")
        return new

    def _connected(self, place: _Place, until_s: float) -> socket.socket:
        """Connect to one of the host's addresses; all of them must be public."""
        addresses = self._resolve(place.host, place.port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise SourceForbidden(f"the host {place.host!r} has an address that is not public, which is not asked")
        failure: OSError = TimeoutError()
        for address in addresses:
            try:
                line = self._connect(address, place.port, _left_s(until_s, self._clock))
            except OSError as error:
                failure = error
                continue
            try:
                if place.scheme == "https":
                    line.settimeout(_left_s(until_s, self._clock))
                    line = self._trust().wrap_socket(line, server_hostname=place.host)
            except BaseException:
                line.close()
                raise
            return line
        raise failure


class _Bounded:
    """As much of a socket as http.client uses, on which nothing lasts beyond a point in time.

    A socket's own timeout begins anew with each byte that comes. Closing it does nothing: http.client does so while the
    answer is still to be read, and whoever connected closes the socket itself.
    """

    def __init__(self, line: socket.socket, until_s: float, clock: Callable[[], float]) -> None:
        self._line = line
        self._until_s = until_s
        self._clock = clock

    def sendall(self, data: bytes) -> None:
        self._line.settimeout(_left_s(self._until_s, self._clock))
        self._line.sendall(data)

    def recv_into(self, buffer: WriteableBuffer) -> int:
        self._line.settimeout(_left_s(self._until_s, self._clock))
        return self._line.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        pass


class _Incoming(io.RawIOBase):
    """What comes on a line, as a file."""

    def __init__(self, line: _Bounded) -> None:
        super().__init__()
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        return self._line.recv_into(buffer)


def _asked(place: _Place, line: _Bounded) -> http.client.HTTPResponse:
    """Send the request and return the answer, of which only the head has been read."""
    talk = http.client.HTTPConnection(place.host, place.port)
    # A connection that has a socket does not look for one by the host's name.
    talk.sock = cast("socket.socket", line)  # as much of one as http.client uses
    talk.putrequest("GET", place.target, skip_host=True, skip_accept_encoding=True)
    talk.putheader("Host", f"[{place.host}]" if ":" in place.host else place.host)
    # What is compressed on the way could grow beyond the bound on bytes.
    talk.putheader("Accept-Encoding", "identity")
    talk.putheader("User-Agent", "transcriber")
    talk.putheader("Connection", "close")
    talk.endheaders()
    return talk.getresponse()


def _left_s(until_s: float, clock: Callable[[], float]) -> float:
    left_s = until_s - clock()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _allows(allowed: str, host: str) -> bool:
    return allowed in ("*", host) or (allowed.startswith("*.") and host.endswith(allowed[1:]))


def _refuse(status: int, host: str) -> None:
    """Say what a status means that is neither success nor a redirect."""
    if status == 200:
        return
    if status in (404, 410):
        raise SourceNotFound(f"there is no file at this address of {host!r} ({status}); check it")
    if status == 429 or status >= 500:
        raise SourceUnavailable(f"the host {host!r} does not give the file now ({status}); try again", retry_after_s=5)
    raise SourceForbidden(f"the host {host!r} does not give the file to this container ({status})")


@contextmanager
def _our_words(host: str, limit_s: float) -> Iterator[None]:
    """Turn what sockets, certificates and http.client raise into failures of ours."""
    try:
        yield
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise SourceNotFound(f"there is no host {host!r}; check the address of the audio") from error
        raise _broken(host) from error
    except TimeoutError as error:
        raise SourceUnavailable(
            f"the file at {host!r} took longer than {limit_s:g} seconds; try again, or send the audio itself",
            retry_after_s=RETRY_AFTER_S,
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise SourceForbidden(f"the certificate of {host!r} cannot be trusted; nothing was asked of it") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise _broken(host) from error


def _broken(host: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"the host {host!r} does not answer, or breaks off; try again", retry_after_s=RETRY_AFTER_S
    )
