"""What the agent asks of whatever runs containers.

A runtime is told what to do and answers at once, before anything is done; what really happened it
tells its observer, each time with the whole present truth about a zone, so that nothing depends
on having seen every step.
"""

from dataclasses import dataclass
from typing import Protocol

from kakuri_registry import Workload, WorkloadState, ZoneHandle


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """What is true of a zone now."""

    workload_id: str
    state: WorkloadState
    reason: str | None = None
    message: str | None = None
    exit_code: int | None = None
    handle: ZoneHandle | None = None


class Observer(Protocol):
    """Who is told what happens to the zones of a runtime."""

    def zone_changed(self, status: ZoneStatus) -> None:
        """Take note of a zone's present state."""

    def zone_gone(self, workload_id: str) -> None:
        """Take note that nothing is left of a zone."""


class Runtime(Protocol):
    """Runs workloads in zones. No method blocks; each may be called again without harm."""

    @property
    def name(self) -> str:
        """What the runtime is called in `--runtime`."""

    @property
    def is_simulated(self) -> bool:
        """Whether nothing really runs."""

    def attach(self, observer: Observer) -> None:
        """Tell this observer, from now on, what happens. Called once, before anything else."""

    def start(self, workload: Workload) -> None:
        """Begin to run a workload in a zone of its own."""

    def stop(self, workload_id: str, grace_seconds: int) -> None:
        """Begin to end a workload: it is asked, and killed after the grace time."""

    def remove(self, workload_id: str) -> None:
        """Begin to remove what is left of a zone that has ended."""

    def close(self) -> None:
        """Tell the observer nothing more; zones go on."""
