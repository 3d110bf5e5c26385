"""Keeping logs from growing without end: those of running containers are looked at now and then."""

import asyncio

import structlog
from kakuri_registry import WorkloadState, ZoneStatus

from kakuri_sidecar._cri import CriClient
from kakuri_sidecar._errors import CriError
from kakuri_sidecar._log_errors import LogError
from kakuri_sidecar._log_store import LogStore
from kakuri_sidecar._table import ZoneTable

log = structlog.get_logger()

ROTATE_INTERVAL = 1.0
"""Seconds between looks: between two of them a log can outgrow its limit, by tens of megabytes if
a container does nothing but write. A look costs a stat of each running zone's log."""


class LogRotation:
    """Rotates the logs of running zones until it is cancelled."""

    def __init__(
        self,
        cri: CriClient,
        table: ZoneTable,
        logs: LogStore,
        interval: float = ROTATE_INTERVAL,
    ) -> None:
        self._cri = cri
        self._table = table
        self._logs = logs
        self._interval = interval

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Rotate what has grown too large; what fails is logged and tried at the next look."""
        for status in self._table.all():
            if status.state is WorkloadState.RUNNING and status.container_id is not None:
                await self._look_at(status, status.container_id)

    async def _look_at(self, status: ZoneStatus, container_id: str) -> None:
        try:
            rotated = await self._logs.rotate(
                status.id, status.attempt, lambda: self._cri.reopen_container_log(container_id)
            )
        except (CriError, LogError) as error:
            log.warning("could not rotate a log", zone=status.id, error=str(error))
        else:
            if rotated:
                log.debug("rotated a log", zone=status.id)
