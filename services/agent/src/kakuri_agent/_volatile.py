"""State of a workload that the reconciler keeps in memory only: timers, and details of its run.

A crash loses it without harm: the next process continues a back-off from the entry's `restart_at`,
and observes everything else again.
"""

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class VolatileState:
    """The volatile state of one workload.

    Attributes:
        back_off: Timer of its back-off. It uses the loop's monotonic clock; `restart_at`, of the
            wall clock, is used only after a restart of this process.
        has_backed_off: Whether its latest back-off is over.
        awaits_disk: Whether it is to be reconciled once its entry is on disk.
        disk_retry: Timer that reconciles it after the disk refused the entry.
        stopped_sandbox: Id of the sandbox that was stopped after its last run had ended.
    """

    back_off: asyncio.TimerHandle | None = None
    has_backed_off: bool = False
    awaits_disk: bool = False
    disk_retry: asyncio.TimerHandle | None = None
    stopped_sandbox: str | None = None

    def cancel_back_off(self) -> None:
        """Cancel and forget the back-off, if there is one."""
        if self.back_off is not None:
            self.back_off.cancel()
        self.back_off, self.has_backed_off = None, False

    def cancel_timers(self) -> None:
        """Cancel both timers."""
        for timer in (self.back_off, self.disk_retry):
            if timer is not None:
                timer.cancel()


_EMPTY = VolatileState()


class VolatileStates:
    """The volatile state of every workload that has any.

    Attributes:
        running_since: When each run that was observed running began, by the loop's clock. Most
            workloads have no other volatile state.
    """

    def __init__(self) -> None:
        self.running_since: dict[str, float] = {}
        self._states: dict[str, VolatileState] = {}

    def __len__(self) -> int:
        return len(self._states.keys() | self.running_since)

    def get(self, workload_id: str) -> VolatileState:
        """Return a workload's state to read; change only the one that `edit` returns."""
        return self._states.get(workload_id, _EMPTY)

    def edit(self, workload_id: str) -> VolatileState:
        """Return a workload's state to change."""
        state = self._states.get(workload_id)
        if state is None:
            state = self._states[workload_id] = VolatileState()
        return state

    def end_run(self, workload_id: str) -> None:
        """Cancel a workload's back-off, and forget since when it has been running."""
        self.running_since.pop(workload_id, None)
        state = self._states.get(workload_id)
        if state is not None:
            state.cancel_back_off()
            self.discard_empty(workload_id)

    def remove(self, workload_id: str) -> None:
        """Forget a workload that was removed, unless it still waits for the disk."""
        state = self._states.get(workload_id)
        if state is not None:
            state.stopped_sandbox = None
        self.end_run(workload_id)

    def discard_empty(self, workload_id: str) -> None:
        """Free the state of a workload if it is empty."""
        if self._states.get(workload_id) == _EMPTY:
            del self._states[workload_id]

    def close(self) -> None:
        """Cancel all timers."""
        for state in self._states.values():
            state.cancel_timers()
