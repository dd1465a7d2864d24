"""Honest callers: they send recordings whose words are known, in every way there is, and compare each word."""

from __future__ import annotations

import base64
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.chaos.store import BUCKET
from tests.conftest import Recording, recordings

ANSWER_WITHIN_S = 120.0
PING_WITHIN_S = 2.0
"""SageMaker replaces an instance whose /ping takes longer."""

PING_EVERY_S = 0.1
LONGEST_S = 10.0
"""Recordings of honest callers; a longer one now and then takes a core for as long as twenty of these."""

NOT_OURS = {"busy", "stopping", "model_not_ready"}
"""Codes of 503 that tell a caller to come again."""

SHOWN = 300


class Outcome(StrEnum):
    """What became of a call."""

    RIGHT = "right answers"
    REFUSED = "told to come again"
    WRONG = "wrong answers"
    OURS = "5xx that were ours"
    CUT = "cut without an answer"
    EXCUSED = "cut by a kill"
    UNREACHED = "while nothing listened"


FAULTS = {Outcome.WRONG, Outcome.OURS, Outcome.CUT}
"""What must not happen."""

PATIENCE_S = 0.2
"""How long before a signal a call that meets a closed door may have begun: one process's clock, another's start."""


class Times:
    """When the container was killed, stopped, and when it was ready: what excuses a cut connection."""

    def __init__(self) -> None:
        self.kills_s: list[float] = []
        self.stops_s: list[float] = []
        self.unready_s: list[tuple[float, float]] = []
        self._unready_since_s: float | None = time.monotonic()

    def note_unready(self) -> None:
        if self._unready_since_s is None:
            self._unready_since_s = time.monotonic()

    def note_ready(self) -> None:
        if self._unready_since_s is not None:
            self.unready_s.append((self._unready_since_s, time.monotonic()))
            self._unready_since_s = None

    def was_ready(self, began_s: float, ended_s: float) -> bool:
        """Tell whether the container was known to be ready all the time."""
        if self._unready_since_s is not None and ended_s >= self._unready_since_s:
            return False
        return not any(began_s <= until_s and ended_s >= since_s for since_s, until_s in self.unready_s)

    def excuse(self, began_s: float, ended_s: float) -> Outcome:
        """Say what it means that a call between these two moments had no answer."""
        if any(began_s <= kill_s <= ended_s for kill_s in self.kills_s):
            return Outcome.EXCUSED
        met_closed = any(stop_s <= began_s + PATIENCE_S for stop_s in self.stops_s)
        if met_closed and not self.was_ready(began_s, ended_s):
            return Outcome.UNREACHED
        return Outcome.CUT


@dataclass(slots=True)
class Books:
    """What all calls came to; for many threads at once.

    Attributes:
        words: What the container says of each recording in calm, by the file's name.
    """

    words: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, outcome: Outcome, status: object, what: str, took_s: float) -> None:
        with self.lock:
            self.outcomes[outcome] += 1
            self.statuses[str(status)] += 1
            self.slowest_s = max(self.slowest_s, took_s)
            if outcome in FAULTS:
                self.faults.append(f"{outcome}: {what}"[:SHOWN])

    def count(self, *outcomes: Outcome) -> int:
        with self.lock:
            return sum(self.outcomes[outcome] for outcome in outcomes)


Send = Callable[[http.client.HTTPConnection, Recording], str]
"""Sends a recording and returns the text of the answer; raises `Refused` when there is none."""


class Refused(Exception):
    """An answer that is no transcript."""

    def __init__(self, status: int, code: str, body: bytes) -> None:
        super().__init__(f"{status} {code} {body[:SHOWN]!r}")
        self.status, self.code = status, code


def _answer(caller: http.client.HTTPConnection) -> bytes:
    answer = caller.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise Refused(answer.status, code_of(body), body)
    return body


def code_of(body: bytes) -> str:
    """Return the code of a failure, in our shape or in OpenAI's; nothing when it has none."""
    try:
        document = json.loads(body)
        error = document["error"]
        return str(error["code"] if isinstance(error, dict) else document["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def send_body(caller: http.client.HTTPConnection, recording: Recording) -> str:
    caller.request("POST", "/invocations", recording.path.read_bytes())
    return str(json.loads(_answer(caller))["text"])


def send_json(caller: http.client.HTTPConnection, recording: Recording) -> str:
    audio = base64.b64encode(recording.path.read_bytes()).decode()
    caller.request("POST", "/invocations", json.dumps({"audio_b64": audio, "response_format": "text"}))
    return _answer(caller).decode().rstrip("\n")


def send_form(caller: http.client.HTTPConnection, recording: Recording) -> str:
    mark = "a-mark-that-is-in-no-recording"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--{mark}\r\n'
    head += 'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head.encode() + recording.path.read_bytes() + f"\r\n--{mark}--\r\n".encode()
    caller.request("POST", "/v1/audio/transcriptions", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
    return str(json.loads(_answer(caller))["text"])


def send_stream(caller: http.client.HTTPConnection, recording: Recording) -> str:
    caller.request("POST", "/invocations", recording.path.read_bytes(), {"Accept": "application/jsonlines"})
    records = [json.loads(line) for line in _answer(caller).splitlines()]
    last = records[-1]
    if last["type"] == "error":
        raise Refused(503 if last["code"] in NOT_OURS else 500, last["code"], json.dumps(last).encode())
    if last["type"] != "done":
        raise http.client.IncompleteRead(b"", 1)
    return str(last["text"])


def by_s3(manner: str) -> Send:
    """Name the recording in the store, which hands it out in this manner."""

    def send(caller: http.client.HTTPConnection, recording: Recording) -> str:
        body = json.dumps({"s3_uri": f"s3://{BUCKET}/{manner}/{recording.path.name}"})
        caller.request("POST", "/invocations", body)
        return str(json.loads(_answer(caller))["text"])

    return send


WITHOUT_STORE: tuple[Send, ...] = (send_body, send_json, send_form, send_stream)
WAYS = (*WITHOUT_STORE, by_s3("plain"), by_s3("slow"), by_s3("cut"))


def short_recordings() -> list[Recording]:
    """The recordings with words, but for the long one."""
    return [recording for recording in recordings() if recording.text and recording.duration < LONGEST_S]


def learn(port: int) -> dict[str, str]:
    """Return what the container says of each recording when nobody else calls: the words that are right from then on.

    The demo model hears one of them wrong, always the same way; that it hears the others right is looked at here.
    """
    words = {}
    for recording in short_recordings():
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)) as caller:
            words[recording.path.name] = send_body(caller, recording)
    right = sum(words[recording.path.name] == recording.text for recording in short_recordings())
    assert right >= len(words) - 1, words
    return words


def call(port: int, send: Send, recording: Recording, *, times: Times, books: Books) -> Outcome:
    """Send one recording and note what became of it."""
    began_s = time.monotonic()
    status: object = 200
    what = recording.path.name
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)) as caller:
            text = send(caller, recording)
        outcome = Outcome.RIGHT if text == books.words[recording.path.name] else Outcome.WRONG
        what += f": {text!r}"
    except Refused as refused:
        status, what = f"{refused.status} {refused.code}", f"{what}: {refused}"
        outcome = _meaning_of(refused, began_s, times)
    except (OSError, http.client.HTTPException) as error:
        status, what = "none", f"{what}: {error!r}"
        outcome = times.excuse(began_s, time.monotonic())
    books.note(outcome, status, what, time.monotonic() - began_s)
    return outcome


def _meaning_of(refused: Refused, began_s: float, times: Times) -> Outcome:
    ended_s = time.monotonic()
    if refused.status == 503 and refused.code == "model_not_ready" and times.was_ready(began_s, ended_s):
        return Outcome.OURS  # /ping said that it was ready
    if refused.status == 503 and refused.code in NOT_OURS:
        return Outcome.REFUSED
    return Outcome.OURS if refused.status >= 500 else Outcome.WRONG


@contextmanager
def honest_callers(
    port: int,
    *,
    n: int,
    seed: int,
    times: Times,
    books: Books,
    ways: Sequence[Send] = WAYS,
    pause_s: float = 0.0,
) -> Iterator[None]:
    """Have `n` callers call, one recording after the other, until the block is left."""
    ending = threading.Event()

    def keep_calling(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        choices = short_recordings()
        while not ending.is_set():
            outcome = call(port, chance.choice(ways), chance.choice(choices), times=times, books=books)
            ending.wait(pause_s if outcome is Outcome.RIGHT else max(pause_s, PING_EVERY_S))

    with _threads([(keep_calling, number) for number in range(n)], ending):
        yield


@dataclass(slots=True)
class Pings:
    """What /ping said.

    Attributes:
        lies: 503, or nothing, while the container was ready.
        late: Those of them that took longer than SageMaker waits.
    """

    asked: int = 0
    well: int = 0
    lies: list[str] = field(default_factory=list)
    late: int = 0
    slowest_s: float = 0.0


@contextmanager
def pinging(port: int, times: Times) -> Iterator[Pings]:
    """Ask for health again and again, and hold the answers against what is known."""
    pings = Pings()
    ending = threading.Event()

    def keep_asking(_number: int) -> None:
        while not ending.is_set():
            began_s = time.monotonic()
            status = ping(port)
            ended_s = time.monotonic()
            pings.asked += 1
            pings.well += status == 200
            if status == 200:
                pings.slowest_s = max(pings.slowest_s, ended_s - began_s)
                pings.late += ended_s - began_s > PING_WITHIN_S
            elif times.was_ready(began_s, ended_s):
                pings.lies.append(f"{status} after {ended_s - began_s:.3f} s")
            ending.wait(PING_EVERY_S)

    with _threads([(keep_asking, 0)], ending):
        yield pings


def ping(port: int) -> int | None:
    """Return the status of /ping; None when nobody answers."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)) as caller:
            caller.request("GET", "/ping")
            answer = caller.getresponse()
            answer.read()
            return answer.status
    except (OSError, http.client.HTTPException):
        return None


@contextmanager
def _threads(works: Sequence[tuple[Callable[[int], None], int]], ending: threading.Event) -> Iterator[None]:
    threads = [threading.Thread(target=work, args=[number], name="caller", daemon=True) for work, number in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join(ANSWER_WITHIN_S)


def write(file: Path, text: str) -> None:
    """Write a file, and the folders on the way to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def publish(figures: Mapping[str, object], file: Path | None) -> None:
    """Print figures as JSON, and write them to a file when there is one."""
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    if file:
        write(file, text + "\n")
