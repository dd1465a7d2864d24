"""The record of a load test as a file of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fleet.client.errors import CannotCall, Misused
from fleet.client.load_record import JobRecord, LoadRecord, Point, Sample


def write(record: LoadRecord, path: Path) -> None:
    """Write a record as JSON.

    Raises:
        CannotCall: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{json.dumps(asdict(record), indent=1, ensure_ascii=False)}\n", "utf-8")
    except OSError as error:
        raise CannotCall(f"the record {path} cannot be written ({error.strerror}); see --out") from error


def read(path: Path) -> LoadRecord:
    """Read what `write` wrote.

    Raises:
        Misused: The file cannot be read, or is no such record.
    """
    try:
        document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return LoadRecord(
            **{
                **document,
                "jobs": tuple(JobRecord(**job) for job in document["jobs"]),
                "samples": tuple(Sample(**sample) for sample in document["samples"]),
                "metrics": {
                    name: tuple(Point(**point) for point in points) for name, points in document["metrics"].items()
                },
            }
        )
    except OSError as error:
        raise Misused(f"the record {path} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Misused(f"{path} is no record of a load test; load_test_async.py writes one") from error
