"""A load test that was measured by hand: six jobs, one instance that becomes two, ten seconds to a minute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.client.load_record import JobRecord, LoadRecord, Point, Sample

ENDS_S = (2.0, 4.0, 5.0, 5.5, 12.0, 14.0)


def record(**changes: Any) -> LoadRecord:
    jobs = tuple(
        JobRecord(
            name=f"job-{number}",
            audio_s=None if number == 1 else 30.0,
            submitted_s=0.0,
            took_s=end_s,
            failure="no audio" if number == 1 else "",
        )
        for number, end_s in enumerate(ENDS_S)
    )
    measured = LoadRecord(
        title="Six jobs",
        command="scripts/load_test_async.py",
        begun="2027-01-15T08:00:00+00:00",
        endpoint="transcriber-async",
        minute_s=10.0,
        jobs=jobs,
        samples=(
            Sample(at_s=0.0, instances=1, wanted=1),
            Sample(at_s=7.0, instances=1, wanted=2),
            Sample(at_s=10.0, instances=2, wanted=2),
        ),
        metrics={
            "ApproximateBacklogSize": (Point(at_s=0.0, value=4.5), Point(at_s=10.0, value=1.5)),
            "TimeInBacklog": (Point(at_s=0.0, value=9000.0),),
            "TotalProcessingTime": (Point(at_s=0.0, value=3000.0),),
        },
    )
    return replace(measured, **changes)
