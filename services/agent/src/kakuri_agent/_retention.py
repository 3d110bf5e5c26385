"""Removes workloads that have ended a set time ago, with their logs."""

import asyncio
import time
from collections.abc import Callable

import structlog
from kakuri_registry import Wanted, WorkloadRegistry

log = structlog.get_logger()

LOOK_SECONDS = 60.0
"""How often it is looked for workloads to remove."""

REMOVED_PER_LOOK = 1000
"""Workloads removed at a time, the earliest first."""

NEXT_LOOK_SECONDS = 1.0
"""When it is looked again if there may be more of them."""


class Retention:
    """Keeps ended workloads for `seconds`; what is to be removed it tells `attend`."""

    def __init__(
        self,
        registry: WorkloadRegistry,
        attend: Callable[[str], None],
        seconds: float,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._attend = attend
        self._seconds = seconds
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self.look()

    def look(self) -> None:
        """Have those removed whose time is over, and look again later."""
        now = self._clock()
        ended = self._registry.removable(now=now, retention=self._seconds, limit=REMOVED_PER_LOOK)
        for entry in ended:
            workload_id = entry.workload.id
            log.info("workload kept long enough", id=workload_id, state=entry.state.value)
            self._registry.want(workload_id, Wanted.REMOVE, now=now)
            self._attend(workload_id)
        pause = LOOK_SECONDS if len(ended) < REMOVED_PER_LOOK else NEXT_LOOK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(pause, self.look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
