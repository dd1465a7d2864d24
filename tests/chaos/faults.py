"""What is done to a container while honest callers call; each returns how many times it did it."""

from __future__ import annotations

import http.client
import json
import os
import random
import resource
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

from tests.chaos.callers import Books, Outcome, Times, call, ping, send_body, short_recordings
from tests.chaos.container import READY_WITHIN_S, Container
from tests.chaos.store import BUCKET
from tests.conftest import DATA
from tests.fuzz.mutations import mutated
from tests.patience import comes_about

IN_FLIGHT = 8
"""MAX_REQUESTS_IN_FLIGHT of the container."""

BODY_STALL_S = 2.0
"""BODY_STALL_SECONDS of the container."""

SETTINGS = {
    "MAX_REQUESTS_IN_FLIGHT": str(IN_FLIGHT),
    "BODY_STALL_SECONDS": str(BODY_STALL_S),
    "DECODE_STALL_SECONDS": "10",
    "S3_MAX_ATTEMPTS": "4",
    "S3_READ_TIMEOUT_SECONDS": "5",
}
TINY_FILE_BYTES = 4096
FULL_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What faults are done to, and with which dice."""

    container: Container
    times: Times
    chance: random.Random
    honest: Books
    hostile: Books


Fault = Callable[[Scene], int]


def kill_a_decoder(scene: Scene) -> int:
    """kill -9 of a decoder, which may be in the middle of somebody's file."""
    with suppress(IndexError, ProcessLookupError):
        victim = scene.chance.choice(scene.container.decoders)
        os.kill(victim, signal.SIGKILL)
        return 1
    return 0


def kill_the_template(scene: Scene) -> int:
    """kill -9 of the process that forks decoders; they follow it."""
    template = scene.container.template
    if template is None:
        return 0
    os.kill(template, signal.SIGKILL)
    comes_about(lambda: scene.container.template != template, within_s=10)
    return 1


def hang_up_in_the_body(scene: Scene) -> int:
    """Callers who close, or break off, in the middle of what they send."""
    body = DATA.joinpath("zh-three-phrases.wav").read_bytes()
    for _ in range(6):
        with _begun(scene, body, sent=scene.chance.randrange(len(body))) as caller:
            _reset(caller, scene.chance.random() < 0.5)
    return 6


def hang_up_in_the_answer(scene: Scene) -> int:
    """Callers who go while the answer is made, or in the middle of a stream."""
    body = DATA.joinpath("two-minutes.flac").read_bytes()
    for kind in ("application/json", "application/jsonlines", "text/event-stream"):
        with _begun(scene, body, sent=len(body), accept=kind) as caller:
            caller.settimeout(scene.chance.uniform(0.05, 1.0))
            with suppress(OSError):
                caller.recv(scene.chance.randrange(1, 400))
            _reset(caller, scene.chance.random() < 0.5)
    return 3


def stop_sending(scene: Scene) -> int:
    """Callers who send the beginning of a body, or of a head, or nothing at all, and wait."""
    request = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nRIFF"
    said = (request, request, request[:40], b"")
    with _crowd(scene, len(said) * IN_FLIGHT) as callers:
        for number, caller in enumerate(callers):
            with suppress(OSError):
                caller.sendall(said[number % len(said)])
        time.sleep(scene.chance.uniform(0.5, 1.5) * BODY_STALL_S)  # about as long as the container lets them
    return len(callers)


def take_no_answers(scene: Scene) -> int:
    """Callers who ask on and on and read nothing."""
    with _crowd(scene, 2 * IN_FLIGHT) as callers:
        for caller in callers:
            with suppress(OSError):
                caller.sendall(500 * b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(scene.chance.uniform(0.5, 1.5))  # the container answers until it has had enough of them
    return len(callers)


def flood(scene: Scene) -> int:
    """Four times as many honest callers at once as are let in: each is answered right or told to come again."""
    n = 4 * IN_FLIGHT
    choices = [scene.chance.choice(short_recordings()) for _ in range(n)]
    with ThreadPoolExecutor(n) as threads:
        calls = [
            threads.submit(call, scene.container.port, send_body, one, times=scene.times, books=scene.honest)
            for one in choices
        ]
    return len([one for one in calls if one.result()])


def fill_the_disk(scene: Scene) -> int:
    """For a while no file of the worker may become larger than a page."""
    worker = scene.container.worker
    if worker is None:
        return 0
    with suppress(ProcessLookupError):
        _soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (TINY_FILE_BYTES, hard))
        try:
            time.sleep(FULL_FOR_S)  # callers go on meanwhile
        finally:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (hard, hard))
        return 1
    return 0


def trouble_the_store(scene: Scene) -> int:
    """Callers who name objects that the store throttles, denies, or does not have."""
    for manner in ("throttled", "flaky", "denied", "absent"):
        body = json.dumps({"s3_uri": f"s3://{BUCKET}/{manner}/en-one-phrase.wav"}).encode()
        _hostile(scene, body, may={200, 403, 404, 502, 503})
    return 4


def send_damaged_files(scene: Scene) -> int:
    """Files that were recordings."""
    for _ in range(8):
        file = mutated(scene.chance.randrange(2**32))
        _hostile(scene, file.content, may={200, 400, 413, 415, 503}, what=file.story)
    return 8


MILD: tuple[Fault, ...] = (
    kill_a_decoder,
    kill_the_template,
    hang_up_in_the_body,
    hang_up_in_the_answer,
    stop_sending,
    take_no_answers,
    flood,
    fill_the_disk,
    trouble_the_store,
    send_damaged_files,
)
"""What the worker survives."""


def kill_the_worker(scene: Scene) -> int:
    """kill -9 of the process that serves; gunicorn starts another, on the same socket."""
    container = scene.container
    worker = container.worker
    if worker is None:
        return 0
    container.remember_processes()
    scene.times.note_unready()
    scene.times.kills_s.append(time.monotonic())
    os.kill(worker, signal.SIGKILL)
    comes_about(lambda: container.worker not in (None, worker), within_s=READY_WITHIN_S)
    scene.times.kills_s.append(time.monotonic())
    return 1


def stop_and_start(scene: Scene) -> int:
    """SIGTERM, whatever is in flight, and a start as the platform would."""
    scene.times.note_unready()
    scene.times.stops_s.append(time.monotonic())
    scene.container.stop()
    scene.container.start()
    return 1


LETHAL: tuple[Fault, ...] = (kill_the_worker, stop_and_start)
"""What ends the worker."""


def wait_ready(scene: Scene) -> bool:
    """Wait until /ping says that the container is ready."""
    is_ready = comes_about(lambda: ping(scene.container.port) == 200, within_s=READY_WITHIN_S)
    scene.times.note_ready()
    scene.container.remember_processes()
    return is_ready


def _hostile(scene: Scene, body: bytes, *, may: set[int], what: str = "") -> None:
    """Call, and note an answer that such a call may not meet."""
    began_s = time.monotonic()
    status: int | None = None
    outcome = Outcome.RIGHT
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", scene.container.port, timeout=60)) as caller:
            caller.request("POST", "/invocations", body)
            answer = caller.getresponse()
            answer.read()
            status = answer.status
        if status not in may:
            outcome = Outcome.OURS if status >= 500 else Outcome.WRONG
    except (OSError, http.client.HTTPException):
        outcome = scene.times.excuse(began_s, time.monotonic())
    scene.hostile.note(outcome, status, f"{what or body[:100]!r}: {status}", time.monotonic() - began_s)


@contextmanager
def _crowd(scene: Scene, n: int) -> Iterator[list[socket.socket]]:
    callers = [_connected(scene) for _ in range(n)]
    try:
        yield callers
    finally:
        for caller in callers:
            caller.close()


def _connected(scene: Scene) -> socket.socket:
    caller = socket.socket()
    caller.settimeout(10)
    with suppress(OSError):
        caller.connect(("127.0.0.1", scene.container.port))
    return caller


def _begun(scene: Scene, body: bytes, *, sent: int, accept: str = "*/*") -> socket.socket:
    """Begin a call and send so many bytes of its body."""
    caller = _connected(scene)
    head = f"POST /invocations HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
    with suppress(OSError):
        caller.sendall(head.encode() + body[:sent])
    return caller


def _reset(caller: socket.socket, is_abrupt: bool) -> None:
    """Close it; abruptly, the other side sees a reset and no end."""
    if is_abrupt:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
