"""The capacity of a node, and how much of it is reserved for workloads that have not ended."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kakuri_registry import spec_size
from kakuri_workload import Workload

MEMORY_FLOOR_MB = 300
"""Memory of the smallest zone that Edera's hypervisor creates."""

SPEC_BYTES = 256 << 20
"""Total size of the specifications of workloads that have not ended.

Enough for a thousand of the largest documents, or a quarter of a million usual ones."""


class InsufficientCapacity(Exception):
    """A workload needs more than is available on the node at the moment."""


class NeverFits(InsufficientCapacity):
    """A workload needs more than the node's total capacity."""


@dataclass
class Capacity:
    """The capacity for workloads that have not ended; None means no limit.

    Memory is in units of 2**20 bytes, CPU in thousandths of a core. `spec_bytes` limits the size of
    their specifications, which the agent keeps in memory and on disk.
    """

    memory_mb: int | None = None
    cpu_millicores: int | None = None
    memory_floor_mb: int = 0
    spec_bytes: int = SPEC_BYTES
    memory_mb_used: int = 0
    cpu_millicores_used: int = 0
    spec_bytes_used: int = 0
    # By id. What a workload needs is computed again when it is released: the registry keeps the
    # workload anyway, and a tuple for each would cost memory and time of the garbage collector.
    _reserved: dict[str, Workload] = field(default_factory=dict, repr=False)

    def check(self, workload: Workload) -> tuple[int, int, int]:
        """Return what a workload needs, after a check that it is available.

        Raises:
            NeverFits: It needs more than the node's total capacity; the message has the figures.
            InsufficientCapacity: It needs more than is available at the moment; the message
                has the figures.
        """
        memory, cpu, spec = needed = self._needs(workload)
        if self.memory_mb is not None and self.memory_mb_used + memory > self.memory_mb:
            floor = ""
            if workload.memory_mb < self.memory_floor_mb:
                floor = f", and no zone takes less than {self.memory_floor_mb} MB"
            raise _insufficient("MB of memory", memory, self.memory_mb_used, self.memory_mb, floor)
        total = self.cpu_millicores
        if total is not None and self.cpu_millicores_used + cpu > total:
            raise _insufficient("millicores of CPU", cpu, self.cpu_millicores_used, total)
        total = self.spec_bytes
        if self.spec_bytes_used + spec > total:
            raise _insufficient("bytes of specifications", spec, self.spec_bytes_used, total)
        return needed

    def reserve(self, workload: Workload) -> None:
        """Reserve what a workload needs. Raises as `check` does."""
        self._add(workload, self.check(workload))

    def reserve_accepted(self, workloads: Iterable[Workload]) -> None:
        """Reserve what workloads need that were accepted earlier, even beyond the capacity."""
        for workload in workloads:
            self._add(workload, self._needs(workload))

    def release(self, workload_id: str) -> None:
        """Release what is reserved for a workload; does nothing if nothing is."""
        workload = self._reserved.pop(workload_id, None)
        if workload is None:
            return
        memory, cpu, spec = self._needs(workload)
        self.memory_mb_used -= memory
        self.cpu_millicores_used -= cpu
        self.spec_bytes_used -= spec

    def _needs(self, workload: Workload) -> tuple[int, int, int]:
        memory_mb = max(workload.memory_mb, self.memory_floor_mb)
        return memory_mb, workload.cpu_millicores, spec_size(workload)

    def _add(self, workload: Workload, needed: tuple[int, int, int]) -> None:
        if workload.id in self._reserved:
            self.release(workload.id)
        self._reserved[workload.id] = workload
        self.memory_mb_used += needed[0]
        self.cpu_millicores_used += needed[1]
        self.spec_bytes_used += needed[2]


def _insufficient(
    what: str, need: int, used: int, total: int, note: str = ""
) -> InsufficientCapacity:
    """Return the error for a workload that needs more of a resource than is available."""
    if need > total:
        return NeverFits(
            f"expected at most {total} {what}, which is all that this node has, got {need}{note}"
        )
    return InsufficientCapacity(
        f"expected at most {max(total - used, 0)} {what}, got {need}: "
        f"{used} of {total} are reserved{note}"
    )


def memory_of_machine() -> int:
    """Return the machine's memory in units of 2**20 bytes (proc_meminfo(5), MemTotal)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) // 1024
    raise OSError("expected a line MemTotal in /proc/meminfo, got none")


def cpu_of_machine() -> int:
    """Return the machine's processors in thousandths of a core."""
    return 1000 * (os.cpu_count() or 1)
