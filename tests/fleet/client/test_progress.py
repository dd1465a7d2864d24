from __future__ import annotations

import io

from fleet.client.progress import Progress
from tests.fleet.client.fakes import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_on_one_line(clock: Clock) -> None:
    screen = Terminal()
    progress = Progress(what="ended", total=4, screen=screen, clock=clock)
    progress.show(0)
    clock.sleep(65)
    progress.show(2, ", 1 failed")
    progress.close()

    last = screen.getvalue().split("\r")[-1]
    assert last == f"[{'#' * 15}{'.' * 15}] 2/4 ended, 1 failed 1:05\x1b[K\n"


def test_a_log_gets_a_line_now_and_then_and_the_last(clock: Clock) -> None:
    screen = io.StringIO()
    progress = Progress(what="ended", total=30, screen=screen, clock=clock)
    for count in range(31):
        progress.show(count)
        clock.sleep(1)
    progress.show(30)
    progress.close()

    assert screen.getvalue().splitlines() == [
        "0:00 0/30 ended",
        "0:10 10/30 ended",
        "0:20 20/30 ended",
        "0:30 30/30 ended",
    ]
