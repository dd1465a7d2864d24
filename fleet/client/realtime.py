"""The errand of invoke_realtime.py: recordings, one after the other, and what was heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.client.answers import Facts, facts_of
from fleet.client.calls import Way
from fleet.client.commands import DONE, FAILED, INTERRUPTED, Stage
from fleet.client.errors import CannotCall, Failed
from fleet.client.jobs import listed, names_for
from fleet.client.keeping import write
from fleet.client.recordings import Recording
from fleet.client.records import records_of
from fleet.client.wishes import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Realtime:
    """Recordings that are sent to a container that answers at once.

    Attributes:
        way: How it is reached.
        wishes: What is wanted of it.
        is_verbatim: Whether to print answers as they come; otherwise their text, with a line about each.
        folder: Where answers are kept; None for nowhere.
    """

    way: Way
    wishes: Wishes
    is_verbatim: bool
    folder: Path | None
    stage: Stage

    def call(self, recordings: Sequence[Recording]) -> int:
        """Send each, tell what comes back, and return the exit status.

        A recording that fails does not keep the others from being sent; what would fail for all does.
        """
        status = DONE
        names = names_for([recording.name for recording in recordings])
        for number, (recording, name) in enumerate(zip(recordings, names, strict=True)):
            try:
                self._call(recording, name)
            except Failed as error:
                self.stage.warn(f"{recording}: {error}")
                status = FAILED
            except (CannotCall, KeyboardInterrupt) as error:
                self.stage.warn(f"{recording}: {str(error) or 'interrupted'}")
                if rest := recordings[number + 1 :]:
                    self.stage.warn(f"not sent: {listed(str(one) for one in rest)}")
                return FAILED if isinstance(error, CannotCall) else INTERRUPTED
        return status

    def _call(self, recording: Recording, name: str) -> None:
        begun_s = self.stage.clock()
        if self.wishes.is_stream:
            facts = self._stream(recording, name, begun_s)
        else:
            answer = self.way.ask(recording, self.wishes)
            write(self.folder, f"{name}{self.wishes.ending}", answer)
            facts = facts_of(answer)
            self.stage.print(answer.decode(errors="replace").rstrip("\n") if self.is_verbatim else facts.text)
        self.stage.tell(f"{recording}: {_told(facts)}{(self.stage.clock() - begun_s) * 1000:.0f} ms")

    def _stream(self, recording: Recording, name: str, begun_s: float) -> Facts:
        """Print each segment as it comes, and return the totals."""
        first_ms: float | None = None
        facts = Facts(text="")
        for record in records_of(self.way.stream(recording, self.wishes)):
            if record["type"] == "segment":
                if first_ms is None:
                    first_ms = (self.stage.clock() - begun_s) * 1000
                    self.stage.tell(f"{recording}: first segment after {first_ms:.0f} ms")
                self.stage.print(f"[{_seconds(record, 'start')} - {_seconds(record, 'end')}] {record.get('text', '')}")
            elif record["type"] == "done":
                facts = Facts(
                    text=str(record.get("text", "")),
                    duration_s=record.get("duration"),
                    language=record.get("detected_language"),
                )
                write(self.folder, f"{name}.txt", f"{facts.text}\n".encode())
        return facts


def _told(facts: Facts) -> str:
    if facts.duration_s is None:
        return ""
    return f"{facts.duration_s:.1f} s of audio, {facts.language or 'no speech'}, "


def _seconds(record: dict[str, object], name: str) -> str:
    value = record.get(name)
    return f"{value:7.2f}" if isinstance(value, int | float) else "      ?"
