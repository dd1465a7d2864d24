"""Several models under the same loads, and how well each hears: the tables in which this field compares them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from fleet.load.errors import CannotMeasure
from fleet.load.record import Record, first_fault, rounded
from fleet.load.report import closed, conditions, picture_links, requests_per_s_of, table, throughput
from fleet.load.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well one model hears one language.

    Attributes:
        side: The model, as the record calls it.
        language: Whisper's code; None for recordings in which nothing is said.
        measure: `words`, `characters`, or `recordings` where nothing is said.
        recordings: How many it heard.
        error_rate: Of words or characters; where nothing is said, the part of the recordings that got a text.
    """

    side: str
    language: str | None
    measure: str
    recordings: int
    error_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Several models, each behind a server of its own.

    Attributes:
        record: What they did under load; its sides are the models.
        models: What each name stands for: a MODEL_ID, or an address.
        manifest: Name of the manifest that the scores are over; empty when texts were not compared.
        scores: How well they hear.
    """

    record: Record
    models: dict[str, str]
    manifest: str = ""
    scores: tuple[Score, ...] = ()


def report_of(comparison: Comparison, *, pictures: str | None = None) -> str:
    """Write the tables.

    Args:
        comparison: The comparison.
        pictures: Where the plots lie, as the reader of the report sees it, with a slash at the end; None leaves them
            out.
    """
    record = comparison.record
    sections = [_head(comparison), _one_caller(record), throughput(record), _most_callers(record)]
    sections += [picture_links(pictures), _scores(comparison)]
    sections += [closed(record, length_s) for length_s in record.lengths_s("closed")]
    sections.append(conditions(record))
    return "\n\n".join(section for section in sections if section) + "\n"


_COMPARISONS = TypeAdapter(Comparison)


def to_json(comparison: Comparison) -> str:
    """Write a comparison as a record is written."""
    return rounded(_COMPARISONS.dump_json(comparison))


def from_json(text: str) -> Comparison:
    """Read a comparison.

    Raises:
        CannotMeasure: It is none.
    """
    try:
        return _COMPARISONS.validate_json(text)
    except ValidationError as error:
        raise CannotMeasure(f"this is no comparison of models: {first_fault(error)}") from error


def _head(comparison: Comparison) -> str:
    record = comparison.record
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    models = ", ".join(f"{name}: `{model}`" for name, model in comparison.models.items())
    return (
        f"### {record.title}\n\n{models}. {record.machine}; {record.date}; `{record.command}`. Each load ran "
        f"{record.rounds} × {record.seconds:g} s on each model, in turns. {versions}."
    )


def _one_caller(record: Record) -> str:
    least = min(record.callers())
    lengths_s = record.lengths_s("closed")
    head = (_callers(least), *(f"{length_s} s: mean / P99 ms, requests/s" for length_s in lengths_s))
    rows = [
        (side, *(_latency_and_rate(record.closed(side, length_s, least)) for length_s in lengths_s))
        for side in record.sides
    ]
    return table(head, rows)


def _most_callers(record: Record) -> str:
    most = max(record.callers())
    lengths_s = record.lengths_s("closed")
    head = (f"{_callers(most)}: mean / P50 / P95 / P99 ms", *(f"{length_s} s" for length_s in lengths_s))
    rows = [
        (side, *(_percentiles(record.closed(side, length_s, most)) for length_s in lengths_s)) for side in record.sides
    ]
    return table(head, rows)


def _scores(comparison: Comparison) -> str:
    languages = list(dict.fromkeys(score.language for score in comparison.scores))
    found = {(score.side, score.language): score for score in comparison.scores}
    head = [f"error rates over `{comparison.manifest}`, the language detected"]
    head += [_heading(next(score for score in comparison.scores if score.language == it)) for it in languages]
    rows = [
        (side, *(f"{found[side, language].error_rate:.1%}" for language in languages))
        for side in comparison.record.sides
    ]
    return table(head, rows) if comparison.scores else ""


def _heading(score: Score) -> str:
    if score.language is None:
        return f"nothing said: got a text ({score.recordings})"
    return f"{score.language}, {score.measure} ({score.recordings})"


def _callers(number: int) -> str:
    return "1 caller" if number == 1 else f"{number} callers"


def _latency_and_rate(summary: Summary | None) -> str:
    if summary is None or summary.latency is None:
        return "-"
    return f"{summary.latency.mean_ms:,.0f} / {summary.latency.p99_ms:,.0f}, {requests_per_s_of(summary)}"


def _percentiles(summary: Summary | None) -> str:
    return " / ".join(_milliseconds(summary)) or "-"


def _milliseconds(summary: Summary | None) -> Iterator[str]:
    if summary is not None and (spread := summary.latency) is not None:
        for taken_ms in (spread.mean_ms, spread.p50_ms, spread.p95_ms, spread.p99_ms):
            yield f"{taken_ms:,.0f}"
