"""What a node has, and what of it is promised to workloads that have not ended."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kakuri_registry import Workload

MEMORY_FLOOR_MB = 300
"""The least memory that a zone takes: below, Edera's hypervisor gives it this much anyway."""


class DoesNotFit(Exception):
    """A workload needs more than the node has left."""


@dataclass
class Capacity:
    """Memory in units of 2**20 bytes, CPU in thousandths of a core; None is without a limit."""

    memory_mb: int | None = None
    cpu_millicores: int | None = None
    memory_floor_mb: int = 0
    memory_mb_used: int = 0
    cpu_millicores_used: int = 0
    _promised: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    def promise(self, workload: Workload) -> None:
        """Set aside what a workload needs. Raises DoesNotFit, with the figures."""
        needed = self._needs(workload)
        for what, unit, need, used, total in (
            ("memory", "MB", needed[0], self.memory_mb_used, self.memory_mb),
            ("CPU", "millicores", needed[1], self.cpu_millicores_used, self.cpu_millicores),
        ):
            if total is not None and used + need > total:
                raise DoesNotFit(
                    f"expected at most {max(total - used, 0)} {unit} of {what}, got {need}: "
                    f"{used} of {total} are promised{self._floor_words(workload, what)}"
                )
        self._set_aside(workload.id, needed)

    def honour(self, workloads: Iterable[Workload]) -> None:
        """Set aside what workloads that were accepted before need, whether it fits or not."""
        for workload in workloads:
            self._set_aside(workload.id, self._needs(workload))

    def release(self, workload_id: str) -> None:
        """Take back what was set aside for a workload; once is enough."""
        memory, cpu = self._promised.pop(workload_id, (0, 0))
        self.memory_mb_used -= memory
        self.cpu_millicores_used -= cpu

    def _floor_words(self, workload: Workload, what: str) -> str:
        if what == "CPU" or workload.memory_mb >= self.memory_floor_mb:
            return ""
        return f", and no zone takes less than {self.memory_floor_mb} MB"

    def _needs(self, workload: Workload) -> tuple[int, int]:
        return max(workload.memory_mb, self.memory_floor_mb), workload.cpu_millicores

    def _set_aside(self, workload_id: str, needed: tuple[int, int]) -> None:
        self.release(workload_id)
        self._promised[workload_id] = needed
        self.memory_mb_used += needed[0]
        self.cpu_millicores_used += needed[1]


def memory_of_machine() -> int:
    """Give the machine's memory in units of 2**20 bytes (proc_meminfo(5), MemTotal)."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal":
            return int(rest.split()[0]) // 1024
    raise OSError("expected a line MemTotal in /proc/meminfo, got none")


def cpu_of_machine() -> int:
    """Give the machine's processors in thousandths of a core."""
    return 1000 * (os.cpu_count() or 1)
