"""Everything that one benchmark measured, and the JSON it is kept in: tables, verdicts and plots need nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from fleet.load.errors import CannotMeasure
from fleet.load.slices import ROOFLINE, Lone, Share, Sliced, share_of
from fleet.load.summary import Summary

Kind = Literal["closed", "open", "mix", "crowd"]
"""`closed` and `open` are the two loops. `mix` is short requests beside a long recording, `crowd` as many callers at
once as the container lets in."""

OURS, SERIAL, LITSERVE, BATCHED = "ours", "serial", "litserve", "batched"

LABELS = {
    OURS: "this container",
    SERIAL: "one request at a time",
    LITSERVE: "LitServe",
    BATCHED: "BatchedInferencePipeline",
    ROOFLINE: "the roofline with preprocessing",
}


def label_of(side: str) -> str:
    """Return how tables and plots call a side."""
    return LABELS.get(side, side)


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The recordings of one length: so many different cuts, and how many windows they make together."""

    recording_s: int
    cuts: int
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One server under one load.

    Attributes:
        side: Which server.
        recording_s: Length of what was sent, in seconds.
        callers: How many sent it; 0 in an open loop.
        rate_per_s: Requests a second of an open loop; None in a closed one.
    """

    side: str
    kind: Kind
    recording_s: int
    callers: int
    rate_per_s: float | None
    summary: Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most windows a second, and what it took.

    Attributes:
        batch: Windows in a call.
        workers: Calls at once.
        threads: For each of them.
        encode: Whether the encoder got the windows of a call `singly` or `together`.
    """

    windows_per_s: float
    batch: int
    workers: int
    threads: int
    encode: str = "singly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What the device does without a server, over recordings of one length: the model alone, and the whole way."""

    recording_s: int
    device: Peak
    with_preprocessing: Peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """How much resident memory grew while a large file came in, in MiB."""

    upload_mib: float
    grown_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Aims:
    """What depends on the model and the device.

    Attributes:
        times_serial: How many times the requests/s of one request at a time are wanted.
        share_of_roofline: Which part of the roofline with preprocessing is wanted.
    """

    times_serial: float = 3.0
    share_of_roofline: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One benchmark.

    Attributes:
        title: What distinguishes it from others, such as the model and the machine.
        date: ISO 8601, in UTC.
        command: What was typed.
        model: Name of the model's folder.
        versions: Of the libraries that do the work.
        seconds: How long each load was measured in each round.
        rounds: How often.
        words: Words in each server's answers to one of each recording: whether they did the same work.
        idle_cpu: Part of a core that each server used while others were measured.
        batch_ms: How long a batch of ours took beside the long recording; None when its log could not be read.
        upload: None when it was not measured.
        sliced: Ours beside others and the roofline, in slices, with processes of their own in each round.
        lone: Ours beside others, each asked by one caller, in turns of one request.
    """

    title: str
    date: str
    command: str
    machine: str
    model: str
    versions: dict[str, str]
    seconds: float
    rounds: int
    aims: Aims
    sides: tuple[str, ...]
    words: dict[str, int]
    idle_cpu: dict[str, float]
    recordings: tuple[Material, ...]
    measured: tuple[Measured, ...]
    rooflines: tuple[Roofline, ...] = ()
    batch_ms: float | None = None
    upload: Upload | None = None
    sliced: tuple[Sliced, ...] = ()
    lone: tuple[Lone, ...] = ()

    def select(self, kind: Kind, *, side: str | None = None, recording_s: int | None = None) -> Iterator[Measured]:
        """Yield what was measured, in the order of `sides`; None means any."""
        for one in sorted(self.measured, key=lambda it: self.sides.index(it.side)):
            if one.kind == kind and side in (None, one.side) and recording_s in (None, one.recording_s):
                yield one

    def lengths_s(self, kind: Kind) -> list[int]:
        """Return the lengths of the recordings of one kind of load, ascending."""
        return sorted({one.recording_s for one in self.select(kind)})

    def callers(self) -> list[int]:
        """Return the numbers of callers of the closed loop, ascending."""
        return sorted({one.callers for one in self.select("closed")})

    def closed(self, side: str, recording_s: int, callers: int) -> Summary | None:
        """Return one cell of the closed loop; None when it was not measured."""
        found = (one.summary for one in self.select("closed", side=side, recording_s=recording_s))
        numbers = (one.callers for one in self.select("closed", side=side, recording_s=recording_s))
        return dict(zip(numbers, found, strict=True)).get(callers)

    def roofline_windows_per_s(self, recording_s: int) -> float | None:
        """Return the roofline with preprocessing, on average over the rounds; None when it was not measured."""
        found = [it.with_preprocessing.windows_per_s for it in self.rooflines if it.recording_s == recording_s]
        return sum(found) / len(found) if found else None

    def share_in_slices(self, recording_s: int, callers: int, *, of: str, their_callers: int) -> Share | None:
        """Return how many times the windows/s of another ours came to in slices; None when not measured.

        Args:
            recording_s: Length of the recordings.
            callers: Of ours.
            of: The other: a server, ours too, or `ROOFLINE`.
            their_callers: The other's; 0 for the roofline.
        """
        return share_of(
            (it.windows_per_s(OURS, callers), it.windows_per_s(of, their_callers))
            for it in self.sliced
            if it.recording_s == recording_s
        )

    def lone_share(self, recording_s: int, *, of: str) -> Share | None:
        """Return which part of another server's median latency ours came to, in turns of one request."""
        return share_of((it.p50_ms.get(OURS), it.p50_ms.get(of)) for it in self.lone if it.recording_s == recording_s)

    def windows_per_request(self, recording_s: int) -> float:
        """Return how many windows a recording of that length makes, on average."""
        material = next(it for it in self.recordings if it.recording_s == recording_s)
        return material.windows / material.cuts


_RECORDS = TypeAdapter(Record)
_ROOFLINES = TypeAdapter(Roofline)


def to_json(record: Record) -> str:
    """Write a record."""
    return rounded(_RECORDS.dump_json(record))


def rounded(document: bytes) -> str:
    """Lay JSON out for a file; fractions with four digits, far below the noise."""
    exact = json.loads(document, parse_float=lambda text: round(float(text), 4))
    return json.dumps(exact, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Record:
    """Read a record.

    Raises:
        CannotMeasure: It is no record of this benchmark.
    """
    try:
        return _RECORDS.validate_json(text)
    except ValidationError as error:
        raise CannotMeasure(f"this is no record of the benchmark: {first_fault(error)}") from error


def roofline_from_json(text: str, *, recording_s: int) -> Roofline:
    """Read what the program of the roofline writes.

    Raises:
        CannotMeasure: It is nothing of the kind.
    """
    try:
        told = json.loads(text)
        return _ROOFLINES.validate_python({**told, "recording_s": recording_s})
    except ValidationError as error:
        raise CannotMeasure(f"the roofline did not write what it should: {first_fault(error)}") from error
    except (ValueError, TypeError) as error:
        raise CannotMeasure(f"the roofline did not write JSON: {text[:80]!r}") from error


def first_fault(error: ValidationError) -> str:
    """Say what is wrong with a document, in its own terms."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg'].lower()}"
