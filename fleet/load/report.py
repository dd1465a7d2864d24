"""A record as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleet.load.record import OURS, Measured, Record, label_of
from fleet.load.slices import Lane, Sliced
from fleet.load.summary import Spread, Summary
from fleet.load.verdicts import verdicts_of

LATENCY_PLOT, THROUGHPUT_PLOT = "latency.png", "throughput.png"


def report_of(record: Record, *, pictures: str | None = None) -> str:
    """Write everything that a record holds.

    Args:
        record: The record.
        pictures: Where the plots lie, as the reader of the report sees it, with a slash at the end; None leaves them
            out.
    """
    sections = [_head(record), _verdicts(record), throughput(record), picture_links(pictures)]
    sections += [closed(record, length_s) for length_s in record.lengths_s("closed")]
    sections += [
        _open(record),
        _mix(record),
        _roofline(record),
        _sliced(record),
        _lone(record),
        _crowd(record),
        _upload(record),
    ]
    sections.append(conditions(record))
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(record: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"### {record.title}\n\n{record.machine}; model `{record.model}`; {record.date}; `{record.command}`. "
        f"Each load ran {record.rounds} × {record.seconds:g} s on each server, in turns. {versions}."
    )


def _verdicts(record: Record) -> str:
    rows = [(it.figure, it.wanted, it.measured, it.word) for it in verdicts_of(record)]
    return table(("figure", "wanted", "measured", "verdict"), rows, words=(0, 3))


def throughput(record: Record) -> str:
    """Write requests a second at each number of callers, for each length of recordings."""
    callers = record.callers()
    lengths_s = record.lengths_s("closed")
    head = (f"requests/s at {' / '.join(map(str, callers))} callers", *(f"{length_s} s" for length_s in lengths_s))
    rows = []
    for side in record.sides:
        cells = [[record.closed(side, length_s, number) for number in callers] for length_s in lengths_s]
        rows.append((label_of(side), *(" · ".join(requests_per_s_of(cell) for cell in row) for row in cells)))
    return table(head, rows if callers else [])


def picture_links(pictures: str | None) -> str:
    """Show the plots that lie at a place; None shows none."""
    if pictures is None:
        return ""
    return (
        f"![requests per second against callers]({pictures}{THROUGHPUT_PLOT})\n\n"
        f"![latency against callers]({pictures}{LATENCY_PLOT})"
    )


def closed(record: Record, length_s: int) -> str:
    """Write all figures of the closed loop with recordings of one length."""
    rows = [
        (label_of(side), str(one.callers), *_figures(one.summary))
        for side in record.sides
        for one in record.select("closed", side=side, recording_s=length_s)
    ]
    return f"Recordings of {length_s} s, closed loop:\n\n" + table(("", "callers", *FIGURES), rows)


def _open(record: Record) -> str:
    measured = list(record.select("open"))
    if not measured:
        return ""
    return (
        f"Recordings of {measured[0].recording_s} s, open loop: {measured[0].rate_per_s:.2f} requests/s arrive, "
        "answered or not; latency counts from the arrival, however late a request could be sent:\n\n"
        + table(("", *FIGURES), [(label_of(one.side), *_figures(one.summary)) for one in measured])
    )


def _mix(record: Record) -> str:
    measured = list(record.select("mix"))
    if not measured:
        return ""
    rows = [(label_of(one.side), _long_s(one), *_figures(one.summary)) for one in measured]
    batch = f" A batch of this container took {record.batch_ms:.0f} ms." if record.batch_ms else ""
    return (
        f"Recordings of {measured[0].recording_s} s, one caller, while a ten-minute recording is in flight.{batch}\n\n"
        + table(("", "the long one, s", *FIGURES), rows)
    )


def _long_s(one: Measured) -> str:
    return f"{one.summary.company.mean_ms / 1000:.1f}" if one.summary.company else "-"


def _roofline(record: Record) -> str:
    rows = [
        (
            f"{it.recording_s} s",
            f"{it.device.windows_per_s:.1f}",
            f"{it.device.batch} × {it.device.workers} × {it.device.threads}",
            f"{it.with_preprocessing.windows_per_s:.1f}",
            f"{it.with_preprocessing.batch} × {it.with_preprocessing.workers} × {it.with_preprocessing.threads}",
        )
        for it in record.rooflines
    ]
    head = ("roofline, windows/s", "model alone", "batch × workers × threads", "with preprocessing", "batch × ...")
    return table(head, rows)


def _sliced(record: Record) -> str:
    if not record.sliced:
        return ""
    first, most = record.sliced[0], max(it.callers for one in record.sliced for it in one.lanes)
    rows = []
    for length_s in dict.fromkeys(it.recording_s for it in record.sliced):
        rounds = [it for it in record.sliced if it.recording_s == length_s]
        for lane in rounds[0].lanes:
            if (lane.side, lane.callers) != (OURS, most):
                share = record.share_in_slices(length_s, most, of=lane.side, their_callers=lane.callers)
                figures = (_rates(rounds, lane.side, lane.callers), _rates(rounds, OURS, most))
                rows.append((f"{length_s} s", _name(lane), *figures, str(share)))
    return (
        f"Windows/s of this container with {most} callers beside others, fresh processes in each round, "
        f"{first.slices} slices of {first.slice_s:g} s for each of them in turns:\n\n"
        + table(("recordings", "beside", "its windows/s", "this container's", "times"), rows, words=(0, 1))
    )


def _rates(rounds: Sequence[Sliced], side: str, callers: int) -> str:
    return " · ".join(f"{it.windows_per_s(side, callers) or 0:.2f}" for it in rounds)


def _name(lane: Lane) -> str:
    return label_of(lane.side) + (f", {lane.callers} callers" if lane.callers else "")


def _lone(record: Record) -> str:
    if not record.lone:
        return ""
    rows = []
    for length_s in dict.fromkeys(it.recording_s for it in record.lone):
        rounds = [it for it in record.lone if it.recording_s == length_s]
        for side in rounds[0].p50_ms:
            if side != OURS:
                medians = (" · ".join(f"{it.p50_ms[name]:.0f}" for it in rounds) for name in (side, OURS))
                rows.append((f"{length_s} s", label_of(side), *medians, str(record.lone_share(length_s, of=side))))
    return (
        f"One caller who asks this container and another in turns, {record.lone[0].requests} requests each in each "
        "round, P50 in ms:\n\n"
        + table(("recordings", "beside", "its P50", "this container's", "times"), rows, words=(0, 1))
    )


def _crowd(record: Record) -> str:
    lines = []
    for one in record.select("crowd"):
        pings = one.summary.pings
        if pings:
            lines.append(
                f"`/ping` of {label_of(one.side)} while {one.callers} requests of {one.recording_s} s are in flight "
                f"({pings.count} pings): median {pings.p50_ms:.1f} ms, P99 {pings.p99_ms:.1f} ms, slowest "
                f"{pings.max_ms:.0f} ms, {one.summary.ping_errors} refused. SageMaker allows 2,000 ms."
            )
    return "\n\n".join(lines)


def _upload(record: Record) -> str:
    if record.upload is None:
        return ""
    return (
        f"While a WAV of {record.upload.upload_mib:.0f} MiB came in and was read, resident memory grew by "
        f"{record.upload.grown_mib:.0f} MiB at its peak."
    )


def conditions(record: Record) -> str:
    """Say what shows whether the measurement was fair."""
    sentences = []
    if record.words:
        heard = ", ".join(f"{label_of(side)} {words}" for side, words in record.words.items())
        sentences.append(f"Words in the answers to one recording of each length: {heard}.")
    if record.idle_cpu:
        shares = ", ".join(f"{label_of(side)} {share:.1%}" for side, share in record.idle_cpu.items())
        sentences.append(f"Part of a core that each server used while others were measured: {shares}.")
    return " ".join(sentences)


FIGURES = (
    "requests/s",
    "windows/s",
    "RTFx",
    "mean ms",
    "P50",
    "P95",
    "P99",
    "max",
    "errors",
    "`/ping` P99 ms",
)


def _figures(summary: Summary) -> Iterator[str]:
    yield requests_per_s_of(summary)
    yield f"{summary.windows_per_s:.1f}"
    yield f"{summary.rtfx:,.0f}"
    yield from _latencies(summary.latency)
    yield str(summary.errors)
    yield f"{summary.pings.p99_ms:,.1f}" if summary.pings else "-"


def _latencies(spread: Spread | None) -> Iterator[str]:
    if spread is None:
        yield from ("-",) * 5
    else:
        for taken_ms in (spread.mean_ms, spread.p50_ms, spread.p95_ms, spread.p99_ms, spread.max_ms):
            yield f"{taken_ms:,.0f}"


def requests_per_s_of(summary: Summary | None) -> str:
    """Write a throughput; a dash for none."""
    return "-" if summary is None else f"{summary.requests_per_s:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: Sequence[int] = (0,)) -> str:
    """Write a table; columns of figures are set to the right, those of `words` to the left."""
    rows = list(rows)
    if not rows:
        return ""
    rule = tuple("---" if column in words else "---:" for column in range(len(head)))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
