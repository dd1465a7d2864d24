"""The page of figures: each part between marks of its own, made anew of the records beside it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fleet.load import plots
from fleet.load.errors import CannotMeasure
from fleet.load.record import Record
from scripts.evaluation.manifest import CannotEvaluateError

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RECORDS = ROOT / "docs" / "benchmarks"

Kept = TypeVar("Kept")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf(Generic[Kept]):
    """Where the records of one program are kept and shown.

    Attributes:
        program: The program's name, for messages; what it measures for itself goes below `build/<program>`.
        part: Of the page.
        file: Name of a record, in a folder of its own.
        read: Makes a record of its text.
        written: Makes the text of a record.
        shown: Makes the report of a record, with the place of its pictures; None for no pictures.
        plotted: What is drawn of a record.
    """

    program: str
    part: str
    file: str
    read: Callable[[str], Kept]
    written: Callable[[Kept], str]
    shown: Callable[[Kept, str | None], str]
    plotted: Callable[[Kept], Record]

    def main(self, arguments: argparse.Namespace, measure: Callable[[], Kept]) -> None:
        """Measure, or read the record that is named; print its report, write it with its plots.

        Args:
            arguments: With `report`, `out` and `write`.
            measure: Makes a record.
        """
        try:
            can_draw = can_draw_plots(needed=arguments.write, program=self.program)
            kept = self.read(arguments.report.read_text("utf-8")) if arguments.report else measure()
            report = self.shown(kept, "" if can_draw else None)
            plotted = self.plotted(kept)
            folder = arguments.out or (RECORDS if arguments.write else ROOT / "build" / self.program)
            file = folder / slug(plotted.title) / self.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self.written(kept), "utf-8")
            if can_draw:
                plots.draw(plotted, file.parent)
            if arguments.write:
                PAGE.write_text(self.on(PAGE.read_text("utf-8"), RECORDS), "utf-8")
            else:
                (file.parent / "report.md").write_text(report, "utf-8")
            print(report)
            print(f"{self.program}: the record is {file}", file=sys.stderr)
        except (CannotMeasure, CannotEvaluateError, OSError) as error:
            sys.exit(f"{self.program}: {error}")
        except KeyboardInterrupt:
            sys.exit(f"{self.program}: stopped; nothing was written")

    def on(self, page: str, records: Path) -> str:
        """Return the page with the reports of all records of a folder, each in a folder of its own, in our part."""
        reports = [
            self.shown(self.read(path.read_text("utf-8")), f"{records.name}/{path.parent.name}/")
            for path in sorted(records.glob(f"*/{self.file}"))
        ]
        return with_part(page, self.part, reports)
