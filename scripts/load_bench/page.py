"""The page of figures: each part between marks of its own, made anew of the records beside it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from fleet.load import plots
from fleet.load.errors import CannotMeasure
from fleet.load.record import Record


def with_part(page: str, name: str, reports: Sequence[str]) -> str:
    """Return a page with reports between the marks of one part, and everything else as it was.

    Raises:
        CannotMeasure: It has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise CannotMeasure(f"the page has no {begin} with an {end} after it, so there is no place for the reports")
    body = "\n".join(reports) or "Nothing has been recorded yet.\n"
    return f"{before}{begin}\n\n{body}\n{end}{after}"


def reports_beside(records: Path, name: str, report: Callable[[str, str], str]) -> list[str]:
    """Return the reports of all records of one name, one folder each.

    Args:
        records: The folder of their folders, beside the page.
        name: Of the file.
        report: Makes one of the record's text and the place of its pictures, as seen from the page.
    """
    return [
        report(path.read_text("utf-8"), f"{records.name}/{path.parent.name}/")
        for path in sorted(records.glob(f"*/{name}"))
    ]


def slug(title: str) -> str:
    """Turn a title into the name of a folder.

    Example:
        >>> slug("Shape of tiny, 2 cores")
        'shape-of-tiny-2-cores'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "record"


def can_draw_plots(*, needed: bool, program: str) -> bool:
    """Tell whether plots can be drawn; before anything is measured for a quarter of an hour.

    Raises:
        CannotMeasure: They cannot, and the page needs them.
    """
    try:
        plots.check()
    except CannotMeasure as error:
        if needed:
            raise
        print(f"{program}: {error}; going on without", file=sys.stderr)
        return False
    return True


def keep(file: Path, document: str, report: str, *, plotted: Record | None, on_page: bool) -> None:
    """Write a record, with its plots beside it, and print its report.

    Args:
        file: Where the record goes; its folder is made.
        document: The record.
        report: What is printed, and written beside it unless it goes to the page.
        plotted: What is drawn; None draws nothing.
        on_page: Whether the report goes to the page.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(document, "utf-8")
    if plotted is not None:
        plots.draw(plotted, file.parent)
    if not on_page:
        (file.parent / "report.md").write_text(report, "utf-8")
    print(report)
