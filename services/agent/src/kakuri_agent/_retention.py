"""Removes workloads that have ended, with their logs: after a set time, or to make room for others.

What has ended costs a node no capacity, but memory and disk: its specification, its history, its
log. So all of it together has a budget in bytes, and what ended first makes room first.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from kakuri_registry import Wanted, WorkloadRegistry

log = structlog.get_logger()

CHECK_SECONDS = 60.0
"""How often ended workloads are checked for their time."""

REMOVED_PER_CHECK = 1000
"""Workloads removed at a time, the one that ended first in front."""

NEXT_CHECK_SECONDS = 1.0
"""When the next check comes if there may be more to remove."""


class Retention:
    """Keeps ended workloads for `seconds`, and at most `budget` bytes of them.

    `attend` is called with the id of each workload that is to be removed.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        attend: Callable[[str], None],
        seconds: float,
        *,
        budget: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._attend = attend
        self._seconds = seconds
        self._budget = budget
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._is_due_at_once = False
        self.check()

    def check(self) -> None:
        """Remove workloads whose time is over or that are over the budget, and check again later.

        The budget is checked whenever a workload ends, so it is exceeded by what ends in one turn
        of the event loop at most.
        """
        self._is_due_at_once = False
        now = self._clock()
        budget = self._budget
        is_full = budget is not None and self._registry.ended_bytes > budget
        ended = self._registry.removable(
            now=now, retention=self._seconds, budget=budget, limit=REMOVED_PER_CHECK
        )
        for entry in ended:
            workload_id = entry.workload.id
            why = "the budget for ended workloads is exceeded" if is_full else "retention is over"
            log.info("workload to be removed", id=workload_id, state=entry.state.value, why=why)
            self._registry.want(workload_id, Wanted.REMOVE, now=now)
            self._attend(workload_id)
        pause = CHECK_SECONDS if len(ended) < REMOVED_PER_CHECK else NEXT_CHECK_SECONDS
        self._check_in(pause)

    def workload_ended(self) -> None:
        """Check soon whether what has ended still fits the budget."""
        if self._budget is None or self._is_due_at_once:
            return
        if self._registry.ended_bytes > self._budget:
            self._is_due_at_once = True
            self._check_in(0)

    def close(self) -> None:
        """Check no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _check_in(self, seconds: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.check)
