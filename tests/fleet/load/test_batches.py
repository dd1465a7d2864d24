from __future__ import annotations

import json

from fleet.load.batches import batch_ms_of


def line(**fields: object) -> str:
    return json.dumps({"time": "2026-01-01T00:00:00.000+00:00", "event": "request done", **fields})


def test_each_try_of_a_window_counts_the_batch_it_was_in() -> None:
    lines = [line(windows=3, fallbacks=1, worked_s=0.4), line(windows=1, fallbacks=0, worked_s=0.1)]

    assert batch_ms_of(lines) == 100.0


def test_other_lines_are_passed_over() -> None:
    lines = ["Traceback", "", '{"event": "model ready"}', line(windows=2), line(windows=2, fallbacks=0, worked_s=0.1)]

    assert batch_ms_of(lines) == 50.0


def test_silence_has_no_batch() -> None:
    assert batch_ms_of([line(windows=0, fallbacks=0, worked_s=0.0)]) is None
    assert batch_ms_of([]) is None
