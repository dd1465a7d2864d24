"""Which aims a benchmark met, from its record alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.load.record import BATCHED, LITSERVE, OURS, SERIAL, Record, label_of
from fleet.load.slices import ROOFLINE, Share

LONE_SHARE = 0.7
"""Of the latency of one request at a time: the language is told from the same encoding that is read."""

STEADY_SHARE = 0.95
"""Of the best requests/s at any load: more callers must not make it slower."""

PING_MS = 100.0
"""SageMaker waits 2 s for /ping; this leaves a factor of 20."""

BATCHES = 2.5
"""One that had begun, one's own, and something for decoding and speech detection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One aim: what was wanted, what was measured, and whether it is met; None when it was not measured."""

    figure: str
    wanted: str
    measured: str
    is_met: bool | None

    @property
    def word(self) -> str:
        """The verdict in a word or two."""
        return {True: "met", False: "missed", None: "not measured"}[self.is_met]


def verdicts_of(record: Record) -> tuple[Verdict, ...]:
    """Judge a record; aims that depend on the recordings' length are judged for each length."""
    if OURS not in record.sides:
        return ()
    return tuple(_verdicts(record))


def _verdicts(record: Record) -> Iterator[Verdict]:
    most = max(record.callers(), default=0)
    least = min(record.callers(), default=0)
    for length_s in record.lengths_s("closed"):
        for side, times in ((SERIAL, record.aims.times_serial), (LITSERVE, 1.0), (BATCHED, 1.0)):
            yield _ahead(record, side, length_s, callers=most, times=times)
        yield _of_the_roofline(record, length_s, callers=most)
        if least == 1:
            yield _alone(record, length_s)
        yield _steady(record, length_s, callers=most)
    yield _pings(record)
    yield _not_starved(record)
    yield _no_errors(record)


def _ahead(record: Record, side: str, length_s: int, *, callers: int, times: float) -> Verdict:
    in_slices = record.share_in_slices(length_s, callers, of=side, their_callers=callers)
    ours, other = record.closed(OURS, length_s, callers), record.closed(side, length_s, callers)
    in_turns = ours.requests_per_s / other.requests_per_s if ours and other and other.requests_per_s else None
    ratio, said = _either(in_slices, in_turns)
    return Verdict(
        figure=f"requests/s against {label_of(side)}, {callers} callers, {length_s} s",
        wanted=f"≥ {times:g} times" if times > 1 else "ahead",
        measured=said and f"{said} times",
        is_met=None if ratio is None else ratio >= times and ratio > 1,
    )


def _of_the_roofline(record: Record, length_s: int, *, callers: int) -> Verdict:
    in_slices = record.share_in_slices(length_s, callers, of=ROOFLINE, their_callers=0)
    ours, most = record.closed(OURS, length_s, callers), record.roofline_windows_per_s(length_s)
    share, said = _either(in_slices, ours.windows_per_s / most if ours and most else None)
    return Verdict(
        figure=f"windows/s against {label_of(ROOFLINE)}, {callers} callers, {length_s} s",
        wanted=f"≥ {record.aims.share_of_roofline:g}",
        measured=said,
        is_met=None if share is None else share >= record.aims.share_of_roofline,
    )


def _alone(record: Record, length_s: int) -> Verdict:
    ours, serial = record.closed(OURS, length_s, 1), record.closed(SERIAL, length_s, 1)
    in_turns = (
        ours.latency.p50_ms / serial.latency.p50_ms if ours and serial and ours.latency and serial.latency else None
    )
    share, said = _either(record.lone_share(length_s, of=SERIAL), in_turns)
    return Verdict(
        figure=f"P50 against {label_of(SERIAL)}, 1 caller, {length_s} s",
        wanted=f"≤ {LONE_SHARE:g}",
        measured=said,
        is_met=None if share is None else share <= LONE_SHARE,
    )


def _steady(record: Record, length_s: int, *, callers: int) -> Verdict:
    rates = {
        one.callers: one.summary.requests_per_s for one in record.select("closed", side=OURS, recording_s=length_s)
    }
    best = max(rates.values(), default=0.0)
    shares = [
        record.share_in_slices(length_s, callers, of=OURS, their_callers=fewer) for fewer in rates if fewer != callers
    ]
    least = min(filter(None, shares), key=lambda share: share.mean, default=None)
    share, said = _either(least, rates[callers] / best if best and callers in rates else None)
    return Verdict(
        figure=f"requests/s against the best at any load, {callers} callers, {length_s} s",
        wanted=f"≥ {STEADY_SHARE:g}",
        measured=said,
        is_met=None if share is None else share >= STEADY_SHARE,
    )


def _either(in_slices: Share | None, in_turns: float | None) -> tuple[float | None, str]:
    """Return a ratio and how it is said: that of slices, which is the truer one, where there is one."""
    if in_slices:
        return in_slices.mean, str(in_slices)
    return in_turns, "" if in_turns is None else f"{in_turns:.2f}"


def _pings(record: Record) -> Verdict:
    crowd = next(record.select("crowd", side=OURS), None)
    pings = crowd.summary.pings if crowd else None
    failed = crowd.summary.ping_errors if crowd else 0
    return Verdict(
        figure=f"`/ping` P99 with {crowd.callers} requests in flight" if crowd else "`/ping` P99 in a crowd",
        wanted=f"< {PING_MS:g} ms",
        measured=f"{pings.p99_ms:.1f} ms" + (f", {failed} refused" if failed else "") if pings else "",
        is_met=pings.p99_ms < PING_MS and not failed if pings else None,
    )


def _not_starved(record: Record) -> Verdict:
    mix = next(record.select("mix", side=OURS), None)
    latency = mix.summary.latency if mix else None
    batches = latency.p95_ms / record.batch_ms if latency and record.batch_ms else None
    return Verdict(
        figure=f"P95 of {mix.recording_s} s beside a ten-minute recording" if mix else "P95 beside a long recording",
        wanted=f"≤ {BATCHES:g} batches",
        measured="" if batches is None else f"{batches:.2f} batches of {record.batch_ms:.0f} ms",
        is_met=None if batches is None else batches <= BATCHES,
    )


def _no_errors(record: Record) -> Verdict:
    errors = sum(one.summary.errors for one in record.measured if one.side == OURS)
    return Verdict(figure="requests that failed", wanted="0", measured=str(errors), is_met=errors == 0)
