"""The manifest: recordings, and what is said in them and when."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CannotEvaluateError(Exception):
    """Something that whoever started the program can mend; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech, in seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One line of the manifest.

    Attributes:
        path: The sound, of any format that PyAV reads.
        text: What is said; empty where nothing is.
        language: Whisper's code; None where nothing is said.
        translation: The text in English; None if the manifest has none.
        segments: When each phrase is said; empty if the manifest has none.
    """

    path: Path
    text: str
    language: str | None
    translation: str | None
    segments: tuple[Segment, ...]


def read_manifest(manifest: Path) -> list[Recording]:
    """Read the recordings that a manifest lists.

    Raises:
        CannotEvaluateError: It, or a recording in it, does not exist, or a line is not as it should be.
    """
    if not manifest.is_file():
        raise CannotEvaluateError(f"there is no manifest {manifest}; scripts/make_recordings.py makes one")
    recordings = []
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                recordings.append(_recording(json.loads(line), manifest.parent))
            except json.JSONDecodeError as error:
                raise CannotEvaluateError(f"{manifest}, line {number}, is not JSON: {error}") from error
            except KeyError as error:
                raise CannotEvaluateError(f"{manifest}, line {number}, has no field {error}") from error
            except (TypeError, ValueError, AttributeError) as error:
                raise CannotEvaluateError(f"{manifest}, line {number}, is ill-formed: {error}") from error
    if not recordings:
        raise CannotEvaluateError(f"{manifest} lists no recordings")
    absent = [recording.path for recording in recordings if not recording.path.is_file()]
    if absent:
        raise CannotEvaluateError(f"{manifest} lists {absent[0]}, which does not exist ({len(absent)} such in all)")
    return recordings


def _recording(entry: dict[str, Any], folder: Path) -> Recording:  # Any: JSON
    segments = tuple(Segment(start=float(one["start"]), end=float(one["end"])) for one in entry.get("segments") or ())
    return Recording(
        path=folder / entry["path"],
        text=str(entry["text"]),
        language=entry["language"],
        translation=entry.get("translation"),
        segments=segments,
    )
