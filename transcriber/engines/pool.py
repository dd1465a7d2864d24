"""Networks that work for one batch at a time, and how many windows such a batch may have."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar

from transcriber.engines.base import Capabilities
from transcriber.errors import DeviceFault

log = logging.getLogger(__name__)

Network = TypeVar("Network")


class Pool(Generic[Network]):
    """Lends networks; for many threads at once."""

    def __init__(self, networks: Iterable[Network]) -> None:
        """Store the networks; one that is given several times is lent so often at the same time."""
        self._idle = queue.SimpleQueue[Network]()
        for network in networks:
            self._idle.put(network)

    @contextmanager
    def lent(self) -> Iterator[Network]:
        """Lend the network that has been idle for longest, as soon as there is one."""
        network = self._idle.get()
        try:
            yield network
        finally:
            self._idle.put(network)

    def let_go(self) -> None:
        """Forget those that are idle."""
        while not self._idle.empty():
            self._idle.get()


def warmed_up(
    capabilities: Capabilities, *, briefly: Callable[[int], None], fully: Callable[[int], None], must_fit: bool
) -> Capabilities:
    """Run batches on every device; return what the engine can do then.

    Args:
        capabilities: With the batch that is hoped for.
        briefly: Runs a batch of so many windows that are quickly read.
        fully: Runs one that takes as much memory as a batch of so many windows may.
        must_fit: Whether to find out how many windows the device holds; the largest batch is halved until it does.

    Raises:
        DeviceFault: Not even one window is held, or the device fails otherwise.
    """
    for _device in range(capabilities.replicas):
        for windows in (1, min(2, capabilities.largest_batch)):
            briefly(windows)
    while must_fit:
        windows = capabilities.largest_batch
        try:
            for _device in range(capabilities.replicas):
                fully(windows)
        except DeviceFault as fault:
            if not fault.out_of_memory or windows == 1:
                raise
            log.warning("largest batch does not fit", extra={"windows": windows})
            capabilities = replace(capabilities, largest_batch=windows // 2)
        else:
            break
    return capabilities
