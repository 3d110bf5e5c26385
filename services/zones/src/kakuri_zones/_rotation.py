"""Bounding the size of logs: rotation for running zones, a budget for ended ones."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial

import structlog
from kakuri_cri import CriError, Runtime
from kakuri_daemon import cancel_all
from kakuri_workload import ZoneStatus

from kakuri_zones._settings import ROTATE_INTERVAL
from kakuri_zones._table import ZoneTable
from kakuri_zones.logs._ended import EndedLogs
from kakuri_zones.logs._errors import LogError
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

REOPEN_SECONDS = 10.0
"""Seconds that the runtime may take to reopen a log file."""


class LogRotation:
    """Rotates the logs of running zones, and trims those of ended ones, until it is cancelled.

    Args:
        busy: Returns the ids of the zones that are being started, stopped or removed.
    """

    def __init__(
        self,
        cri: Runtime,
        table: ZoneTable,
        logs: LogStore,
        ended: EndedLogs,
        busy: Callable[[], Collection[str]],
        interval: float = ROTATE_INTERVAL,
    ) -> None:
        self._cri = cri
        self._table = table
        self._logs = logs
        self._ended = ended
        self._busy = busy
        self._interval = interval
        self._rotations: dict[str, asyncio.Task[None]] = {}  # in progress, by zone
        self._checked: dict[str, object] = {}  # signatures of logs that needed no rotation
        self._failures: dict[str, str] = {}  # errors that were logged
        self._trimming: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Check the logs periodically until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                await self.check()
        finally:
            tasks = list(self._rotations.values())
            if self._trimming is not None:
                tasks.append(self._trimming)
            await cancel_all(tasks)

    async def check(self) -> None:
        """Start to rotate logs that have grown too large; the next check retries failures.

        A zone whose last rotation has not finished is skipped, so that it does not delay others. A
        log that has not changed since its last check is not listed again: most zones are idle.
        """
        running = {
            status.id: status for status in self._table.running() if status.container_id is not None
        }
        if self._trimming is None or self._trimming.done():
            self._trimming = asyncio.create_task(self.trim_ended())
        signatures = await self._logs.signatures(
            {zone_id: status.attempt for zone_id, status in running.items()}
        )
        for known in (self._checked, self._failures):
            for zone_id in known.keys() - running.keys():
                del known[zone_id]
        for zone_id, signature in signatures.items():
            is_unchanged = signature is not None and signature == self._checked.get(zone_id)
            if not is_unchanged and zone_id not in self._rotations:
                task = asyncio.create_task(self._check_zone(running[zone_id], signature))
                self._rotations[zone_id] = task
                task.add_done_callback(partial(self._done, zone_id))

    def _done(self, zone_id: str, _: asyncio.Task[None]) -> None:
        del self._rotations[zone_id]

    async def _check_zone(self, status: ZoneStatus, signature: object) -> None:
        container_id = status.container_id or ""
        try:
            rotated = await self._logs.rotate(
                status.id,
                status.attempt,
                lambda: self._cri.reopen_container_log(container_id, REOPEN_SECONDS),
            )
        except (CriError, LogError) as error:
            if self._failures.get(status.id) != str(error):  # log an error once, not at each check
                log.warning("could not rotate a log", zone=status.id, error=str(error))
            self._failures[status.id] = str(error)
        else:
            self._failures.pop(status.id, None)
            if rotated:
                log.debug("rotated a log", zone=status.id)
            else:
                self._checked[status.id] = signature

    async def trim_ended(self) -> None:
        """Remove logs of ended zones that exceed their budget, except of zones being changed."""
        if not self._table.has_listing:
            return
        live = {*self._rotations, *self._busy()}
        ends: dict[str, float] = {}
        for status in self._table.all():
            if not status.state.is_terminal:
                live.add(status.id)
            elif status.ended_at is not None:
                ends[status.id] = status.ended_at
        try:
            trimmed = await self._ended.trim(live, ends)
        except (LogError, OSError) as error:
            log.warning("could not trim the logs of ended zones", error=str(error))
            return
        for each in trimmed:
            log.info(
                "removed the log of an ended zone",
                zone=each.zone,
                files=each.files,
                bytes=each.size,
                left=each.left,
            )
