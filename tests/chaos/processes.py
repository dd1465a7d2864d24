"""What a container holds, as the kernel tells it: processes, threads, descriptors, memory, files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a container holds at one moment.

    Attributes:
        resident_mib: Memory of the worker.
        decoders_mib: Memory of the decoders and their template that they do not share with each other.
        threads: Threads of the worker.
        descriptors: Open files of the worker by kind, without the connections to its decoders and to S3, which are
            kept for the next request on purpose.
        decoders: Processes that the template has forked.
        files: Names below the container's `TMPDIR`.
        unnamed_files: Files without a name, on disk or in memory, that the worker has open.
    """

    resident_mib: float
    decoders_mib: float
    threads: int
    descriptors: dict[str, int] = field(default_factory=dict)
    decoders: int = 0
    files: tuple[str, ...] = ()
    unnamed_files: int = 0

    @property
    def open_files(self) -> int:
        """All descriptors."""
        return sum(self.descriptors.values())

    def beyond(self, before: Holdings) -> dict[str, int]:
        """Return how much more there is of what must not become more."""
        grown = {
            kind: self.descriptors[kind] - before.descriptors.get(kind, 0)
            for kind in self.descriptors
            if self.descriptors[kind] > before.descriptors.get(kind, 0)
        }
        return {
            "descriptors": sum(grown.values()),
            "threads": max(0, self.threads - before.threads),
            "temporary files": len(self.files) + max(0, self.unnamed_files - before.unnamed_files),
        }


def children_of(pid: int) -> list[int]:
    """Return the processes that this one has started; none when it has ended."""
    with suppress(OSError):
        tasks = list((PROC / str(pid) / "task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text("ascii").split()]
    return []


def descendants_of(pid: int) -> Iterator[int]:
    """Yield those, and theirs."""
    for child in children_of(pid):
        yield child
        yield from descendants_of(child)


def identity_of(pid: int) -> tuple[int, str] | None:
    """Return what tells a process from a later one of the same number; None when it has ended, buried or not."""
    with suppress(OSError):
        words = (PROC / str(pid) / "stat").read_text("utf-8").rpartition(")")[2].split()
        return None if words[0] in "ZX" else (pid, words[19])
    return None


def holdings_of(worker: int, *, scratch: Path, store_port: int | None = None) -> Holdings:
    """Look at a worker and what belongs to it.

    Raises:
        OSError: It has ended meanwhile.
    """
    status = (PROC / str(worker) / "status").read_text("utf-8")
    template = next(iter(children_of(worker)), None)
    decoders = children_of(template) if template else []
    kinds: Counter[str] = Counter()
    to_store = _sockets_to(store_port)
    unnamed = 0
    for entry in (PROC / str(worker) / "fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            target = str(entry.readlink())
            unnamed += target.endswith("(deleted)")
            if target not in to_store:
                kinds[target.partition(":")[0] if ":[" in target or target.startswith("anon") else target] += 1
    kinds["socket"] -= len(decoders)
    return Holdings(
        resident_mib=int(status.split("VmRSS:")[1].split()[0]) / 1024,
        decoders_mib=sum(private_bytes(pid) for pid in [*([template] if template else []), *decoders]) / MIB,
        threads=int(status.split("Threads:")[1].split()[0]),
        descriptors=dict(kinds),
        decoders=len(decoders),
        files=tuple(sorted(path.name for path in scratch.iterdir())),
        unnamed_files=unnamed,
    )


def private_bytes(pid: int) -> int:
    """Return the memory of a process that it shares with nobody; 0 when it has ended."""
    with suppress(OSError, IndexError):
        lines = (PROC / str(pid) / "smaps_rollup").read_text("ascii").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_"))
    return 0


def _sockets_to(port: int | None) -> set[str]:
    """Return the sockets of this machine whose other end is that port, as their descriptors are called."""
    if port is None:
        return set()
    rows = [line.split() for line in (PROC / "net" / "tcp").read_text("ascii").splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if int(row[2].rpartition(":")[2], 16) == port}
