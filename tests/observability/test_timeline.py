from __future__ import annotations

import time

from transcriber.observability.timeline import Timeline, process_start_s


def test_each_mark_is_set_once_and_in_order() -> None:
    ticks = iter([11.0, 12.5, 19.0])
    timeline = Timeline(clock=lambda: next(ticks), began_s=10.0)

    assert timeline.mark("imported")
    assert timeline.mark("loaded")
    assert not timeline.mark("imported")
    assert list(timeline.seconds().items()) == [("imported_after_s", 1.0), ("loaded_after_s", 2.5)]


def test_the_process_began_a_short_while_ago() -> None:
    assert 0 < time.monotonic() - process_start_s() < 24 * 3600
