"""A container, spoken to over HTTP as SageMaker does."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from fleet.emulator.answers import Answer

BLOCK_BYTES = 1024 * 1024


class Readable(Protocol):
    """What a body that is not in memory must be able to do."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""


class Timeout(Exception):
    """The container took too long."""


class Broken(Exception):
    """The container cannot be reached, or closed the connection before it had answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a container.

    Attributes:
        size: Length of the body in bytes; None sends it in chunks.
    """

    body: bytes | Readable = b""
    size: int | None = 0
    headers: Mapping[str, str]
    timeout_s: float
    accept_s: float
    method: str = "POST"
    path: str = "/invocations"


def ask(address: tuple[str, int], call: Call) -> Answer:
    """Send a request and read the whole answer.

    Raises:
        Timeout: The answer was not complete in time.
        Broken: There was no answer.
    """
    with open_answer(address, call) as (head, blocks):
        return Answer(status=head.status, headers=head.headers, body=b"".join(blocks))


@contextmanager
def open_answer(
    address: tuple[str, int], call: Call, *, first_byte_s: float | None = None
) -> Iterator[tuple[Answer, Iterator[bytes]]]:
    """Send a request and yield the answer's head, and its body as it arrives.

    Args:
        address: Host and port.
        call: The request.
        first_byte_s: How long the answer's head may take, if that is less than the whole.

    Raises:
        Timeout, Broken: As `ask`, from here or from the iterator.
    """
    ends_s = time.monotonic() + call.timeout_s
    with ExitStack() as stack:
        connection = http.client.HTTPConnection(*address, timeout=call.accept_s, blocksize=BLOCK_BYTES)
        stack.callback(connection.close)
        with _translated():
            connection.connect()
            wire = connection.sock  # the connection forgets it once it has handed it to the response
            wire.settimeout(call.timeout_s)
            with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may come before the body is sent
                _send(connection, call)
            left_s = max(ends_s - time.monotonic(), 0.001)
            wire.settimeout(min(left_s, first_byte_s or left_s))
            response = stack.enter_context(connection.getresponse())
        head = Answer(status=response.status, headers=tuple(response.getheaders()), body=b"")
        yield head, _blocks(wire, response, ends_s)


def _send(connection: http.client.HTTPConnection, call: Call) -> None:
    headers = {"Connection": "close", **call.headers}
    if call.size is not None:
        headers["Content-Length"] = str(call.size)
    body = call.body if isinstance(call.body, bytes) else _iterate(call.body)
    if call.size is None and isinstance(body, bytes):
        body = iter([body])  # what has no length is sent in chunks
    connection.request(call.method, call.path, body=body or None, headers=headers)


def _iterate(body: Readable) -> Iterator[bytes]:
    while block := body.read(BLOCK_BYTES):
        yield block


def _blocks(wire: socket.socket, response: http.client.HTTPResponse, ends_s: float) -> Iterator[bytes]:
    while True:
        left_s = ends_s - time.monotonic()
        if left_s <= 0:
            raise Timeout
        with _translated():
            wire.settimeout(left_s)
            block = response.read1(BLOCK_BYTES)
        if not block:
            if response.length:
                raise Broken(f"the answer ended {response.length} bytes early")
            return
        yield block


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise Timeout from error
    except (OSError, http.client.HTTPException) as error:
        raise Broken(str(error)) from error
