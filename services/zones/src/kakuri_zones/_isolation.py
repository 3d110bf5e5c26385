"""Checking how running zones are isolated from their host, once for each run.

A check begins some seconds after a run has started and delays nothing. It executes `uname -r` in
the zone, because no call of the runtime reports which kernel runs there. It does so only if the
zone has memory left: the process counts towards its limit, and the kernel could otherwise kill the
workload. What cannot be observed is left out.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable

import structlog
from kakuri_cri import CriError, Runtime, RuntimeUnavailable
from kakuri_daemon import cancel_all, create_deferred_task
from kakuri_workload import Isolation, ZoneStatus, printable

from kakuri_zones import _labels as labels
from kakuri_zones._table import ZoneTable

log = structlog.get_logger()

MAX_CHECKS = 4
"""Checks at the same time: each starts a process."""

EXEC_SECONDS = 2
"""Seconds after which the runtime kills the process."""

CALL_SECONDS = 5.0

MIN_FREE_BYTES = 33_554_432
"""Memory that has to be free in the zone: runc's own process takes some ten megabytes."""

MAX_NAME = 64
"""Characters of a handler."""

UNAME = ("uname", "-r")
_RELEASE = re.compile(r"[0-9A-Za-z._+~-]{1,64}")
_PROFILE = re.compile("sha256:[0-9a-f]{64}")


class IsolationChecks:
    """Checks running zones until it is cancelled, and reports the results in the table.

    Args:
        interval: Seconds between two scans for runs that were not checked.
        is_local: Whether the runtime is on this host, so that this kernel is the zones' host's.
    """

    def __init__(
        self,
        cri: Runtime,
        table: ZoneTable,
        interval: float,
        *,
        is_local: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cri = cri
        self._table = table
        self._interval = interval
        self._host_kernel = os.uname().release if is_local else None
        self._clock = clock
        self._slots = asyncio.Semaphore(MAX_CHECKS)
        self._checks: dict[str, asyncio.Task[None]] = {}  # by container

    async def run(self) -> None:
        """Check each run once, until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                self.check()
        finally:
            await cancel_all(self._checks.values())

    def check(self) -> None:
        """Begin to check the runs that were not checked yet."""
        running = {
            status.container_id: status
            for status in self._table.running()
            if status.container_id is not None
        }
        for container_id in self._checks.keys() - running.keys():
            self._checks.pop(container_id).cancel()
        for container_id, status in running.items():
            if container_id not in self._checks:
                self._checks[container_id] = create_deferred_task(self._check(container_id, status))

    async def _check(self, container_id: str, status: ZoneStatus) -> None:
        try:
            async with self._slots:
                isolation = await self._observe(container_id, status.pod_sandbox_id or "")
        except RuntimeUnavailable:
            self._checks.pop(container_id, None)  # the next scan begins again
        except CriError as error:
            log.debug("could not check the isolation", zone=status.id, error=str(error))
        else:
            self._table.set_isolation(status.id, container_id, isolation)

    async def _observe(self, container_id: str, sandbox_id: str) -> Isolation:
        sandbox = await self._cri.pod_sandbox_status(sandbox_id, CALL_SECONDS)
        container = await self._cri.container_status(container_id, CALL_SECONDS)
        profile = container.annotations.get(labels.PROFILE, "")
        kernel = await self._kernel(container_id)
        return Isolation(
            handler=printable(sandbox.runtime_handler, MAX_NAME) or None,
            kernel=kernel,
            host_kernel=self._host_kernel,
            profile=profile if _PROFILE.fullmatch(profile) else None,
            checked_at=self._clock(),
        )

    async def _kernel(self, container_id: str) -> str | None:
        """Return the release of the zone's kernel; None if it can't be observed."""
        try:
            if not await self._has_memory(container_id):
                return None
            answer = await self._cri.exec_sync(container_id, UNAME, EXEC_SECONDS)
        except RuntimeUnavailable:
            raise
        except CriError as error:
            log.debug("could not read the kernel of a zone", id=container_id, error=str(error))
            return None
        release = answer.stdout[: 2 * MAX_NAME].decode(errors="replace").strip()
        is_release = answer.exit_code == 0 and _RELEASE.fullmatch(release) is not None
        return release if is_release else None

    async def _has_memory(self, container_id: str) -> bool:
        """Return whether a process can be started without the workload running out of memory.

        A runtime that does not report what is available is trusted to have it: that of a zone
        with a kernel of its own is the guest's.
        """
        stats = await self._cri.container_stats(container_id, CALL_SECONDS)
        available = None if stats.memory is None else stats.memory.available_bytes
        return available is None or available.value >= MIN_FREE_BYTES
