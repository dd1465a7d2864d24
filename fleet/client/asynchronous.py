"""The errand of invoke_async.py: jobs, waited for, fetched and summed up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fleet.client.commands import DONE, FAILED, INTERRUPTED, Stage
from fleet.client.errors import CannotCall
from fleet.client.jobs import Job, counted, listed
from fleet.client.keeping import Keeper, Outcome
from fleet.client.progress import Progress
from fleet.client.tables import shortened, table
from fleet.client.waiting import End

LEAST_TEXT_COLUMNS = 24
LONGEST_NAME_COLUMNS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What becomes of jobs, fetched as they end.

    Attributes:
        keeper: Fetches and writes.
        again: The command that fetches the rest later.
    """

    keeper: Keeper
    again: str
    stage: Stage

    def collect(self, jobs: Sequence[Job], rounds: Iterator[list[End]]) -> int:
        """Wait for the jobs, print a summary, and return the exit status: 0 when every one has a transcript."""
        outcomes: dict[str, Outcome] = {}
        status = DONE
        progress = Progress(what="ended", total=len(jobs), screen=self.stage.screen, clock=self.stage.clock)
        progress.show(0)
        try:
            for ends in rounds:
                outcomes |= {outcome.job.name: outcome for outcome in self.keeper.keep(ends)}
                failed = sum(outcome.facts is None for outcome in outcomes.values())
                progress.show(len(outcomes), f", {failed} failed" if failed else "")
        except CannotCall as error:
            self.stage.warn(str(error))
            status = FAILED
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:
            progress.close()
        running = [job for job in jobs if job.name not in outcomes]
        if outcomes:
            ended = [outcomes[job.name] for job in jobs if job.name in outcomes]
            self.stage.print(summary(ended, columns=self.stage.columns))
        failures = sum(outcome.facts is None for outcome in outcomes.values())
        done = len(outcomes) - failures
        self.stage.tell(
            f"{counted(len(jobs), 'job')}: {done} done, {failures} failed, {len(running)} still running"
            + (f"; answers are in {self.keeper.folder}" if self.keeper.folder and outcomes else "")
        )
        if running:
            self.stage.warn(f"still running: {listed(job.name for job in running)}")
            self.stage.warn(f"they go on without you; to fetch what they leave: {self.again}")
        return status or (FAILED if failures or running else DONE)


def summary(outcomes: Sequence[Outcome], *, columns: int) -> str:
    """Return a table with a row for each job that has ended."""
    rows = [_row(outcome) for outcome in outcomes]
    head = ["job", "audio s", "language", "time s", "text, or why it failed"]
    taken = table(head[:-1], [row[:-1] for row in rows]).splitlines()
    width = max(LEAST_TEXT_COLUMNS, columns - max(len(line) for line in taken) - 2)
    short = [[*row[:-1], shortened(row[-1], width)] for row in rows]
    return table(head, short, right=frozenset({1, 3}))


def _row(outcome: Outcome) -> list[str]:
    facts = outcome.facts
    known = facts is not None and facts.duration_s is not None
    return [
        shortened(outcome.job.name, LONGEST_NAME_COLUMNS),
        f"{facts.duration_s:.1f}" if facts and facts.duration_s is not None else "-",
        (facts.language or "-") if facts and known else "-",
        f"{outcome.ending.took_s:.1f}".removesuffix(".0"),  # S3 tells whole seconds
        (facts.text or "(no speech)") if facts else f"failed: {outcome.failure}",
    ]
