"""An engine and a clock that do what the test says, when it says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from transcriber.engines.base import Capabilities, Retry, Window
from transcriber.options import Task
from transcriber.transcript import Hypothesis

WAIT_S = 10.0


def hypothesis(name: str) -> Hypothesis:
    return Hypothesis(segments=(), language=name, language_probability=1.0, consumed_s=1.0, has_speech=True)


@dataclass
class FakeEngine:
    """Works on strings: `k:name` has the key k; each batch waits until the test opens the gate."""

    largest_batch: int = 4
    replicas: int = 1
    behave: Callable[[Sequence[str]], list[Hypothesis | Retry[str]]] | None = None
    batches: list[list[str]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            name="fake",
            longest_window_s=30.0,
            largest_batch=self.largest_batch,
            replicas=self.replicas,
            word_timestamps=False,
            languages=frozenset(),
            detects_language=True,
            tasks=frozenset(Task),
        )

    def prepare(self, window: Window) -> str:
        raise NotImplementedError

    def batch_key(self, work: str) -> str:
        return work.partition(":")[0]

    def transcribe(self, batch: Sequence[str]) -> list[Hypothesis | Retry[str]]:
        self.batches.append(list(batch))
        self.begun.release()
        assert self.gate.acquire(timeout=WAIT_S)
        if self.behave is not None:
            return self.behave(batch)
        return [hypothesis(work) for work in batch]

    def warm_up(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=WAIT_S)

    def open(self, times: int = 1) -> None:
        for _ in range(times):
            self.gate.release()


class StepClock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s
