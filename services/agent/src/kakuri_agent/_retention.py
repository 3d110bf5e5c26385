"""Removal of ended workloads and their logs: after a retention time, or when over a budget.

An ended workload reserves no capacity, but its specification, history and log take memory and
disk. So all ended workloads together have a budget in bytes; those that ended first go first.

Ages are measured by the wall clock, which may be wrong after a boot until it is synchronized, and
may be set at any time. So for a while after the agent starts, and after the clock is set, no
workload is removed because of its age.
"""

import asyncio
import math
import time
from collections.abc import Callable

import structlog
from kakuri_daemon import set_trace
from kakuri_registry import WorkloadRegistry
from kakuri_workload import DesiredState

log = structlog.get_logger()

CHECK_SECONDS = 60.0
"""Seconds between two checks for workloads whose retention time is over."""

REMOVED_PER_CHECK = 1000
"""Number of workloads that one check removes, in the order in which they ended."""

NEXT_CHECK_SECONDS = 1.0
"""Seconds until the next check if there may be more to remove."""

SYNC_SECONDS = 3600.0
"""Seconds after the start of the agent until its wall clock counts as synchronized."""

MAX_CLOCK_DRIFT = 60.0
"""Largest drift of the wall clock in seconds between two checks. More means that it was set."""


def seconds_since_boot() -> float:
    """Return the seconds since the machine's boot, including those for which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Retention:
    """Removes ended workloads after a retention time; over a budget, those that ended first.

    No workload is removed because of its age until the agent has run for an hour, or for the
    retention time if that is shorter. If the wall clock is set by more than a minute, that
    removal pauses for the whole retention time.

    Args:
        registry: The workloads.
        enqueue: Called with the id of each workload to remove.
        seconds: The retention time, also that of tombstones.
        budget: Maximum size of all ended workloads together in bytes; None for no limit.
        drop_removed_before: Called with a time; drops the tombstones of removals before it.
        clock: Wall clock.
        uptime: Clock that is never set.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        enqueue: Callable[[str], None],
        seconds: float,
        *,
        budget: int | None = None,
        drop_removed_before: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._registry = registry
        self._enqueue = enqueue
        self._seconds = seconds
        self._budget = budget
        self._drop_removed_before = drop_removed_before
        self._clock = clock
        self._uptime = uptime
        self._boot = clock() - uptime()  # by the wall clock, so it changes when that is set
        self._ages_known_from = uptime() + min(seconds, SYNC_SECONDS)
        self._timer: asyncio.TimerHandle | None = None
        self._is_due_at_once = False
        self.check()

    def check(self) -> None:
        """Remove workloads whose retention is over or that exceed the budget; schedule a check.

        The budget is checked whenever a workload ends. So it is exceeded by at most the workloads
        that end in one turn of the event loop.
        """
        set_trace(None)  # the timer may have been set while a workload was reconciled
        self._is_due_at_once = False
        now = self._clock()
        retention = self._seconds if self._knows_ages(now) else math.inf
        budget = self._budget
        is_full = budget is not None and self._registry.ended_bytes > budget
        ended = self._registry.removable(
            now=now, retention=retention, budget=budget, limit=REMOVED_PER_CHECK
        )
        for entry in ended:
            workload_id = entry.workload.id
            reason = (
                "the budget for ended workloads is exceeded" if is_full else "retention is over"
            )
            log.info(
                "workload to be removed", id=workload_id, state=entry.state.value, reason=reason
            )
            self._registry.set_desired(workload_id, DesiredState.REMOVE, now=now)
            self._enqueue(workload_id)
        self._drop_removed_before(now - retention)
        pause = CHECK_SECONDS if len(ended) < REMOVED_PER_CHECK else NEXT_CHECK_SECONDS
        self._check_in(pause)

    def workload_ended(self) -> None:
        """Check the budget soon, because a workload has ended."""
        if self._budget is None or self._is_due_at_once:
            return
        if self._registry.ended_bytes > self._budget:
            self._is_due_at_once = True
            self._check_in(0)

    def close(self) -> None:
        """Cancel the next check."""
        if self._timer is not None:
            self._timer.cancel()

    def _knows_ages(self, now: float) -> bool:
        """Return whether the times at which workloads ended can be compared with the time now."""
        uptime = self._uptime()
        boot = now - uptime
        if abs(boot - self._boot) > MAX_CLOCK_DRIFT:
            self._ages_known_from = uptime + self._seconds
            log.warning("wall clock was set", seconds=round(boot - self._boot))
        self._boot = boot
        return uptime >= self._ages_known_from

    def _check_in(self, seconds: float) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.check)
