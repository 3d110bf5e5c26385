"""A budget in bytes for the logs of all ended zones, within which the latest ends are kept.

Sizes are measured a bounded number of directories at a time, those measured longest ago first: an
ended log rarely changes. After a restart nothing is removed before everything has been measured.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from kakuri_zones._settings import ENDED_LOGS_MB, MIB
from kakuri_zones.logs._errors import LogError, UnknownLog
from kakuri_zones.logs._files import list_files, list_zones, open_directory, remove_ended
from kakuri_zones.logs._store import LogStore

log = structlog.get_logger()

MAX_MEASURED = 100
MAX_TRIMMED = 20
"""Directories that one pass measures, and directories that it removes files from, so that it blocks
the thread that reads logs for milliseconds only."""

UNKNOWN_SECONDS = 60.0
"""Time after its last write for which a log without a zone in the runtime is kept: a start with an
unknown outcome may have created a container that is not listed yet."""


@dataclass(frozen=True, slots=True)
class TrimmedLog:
    """The removed part of an ended log, or all of it.

    Attributes:
        zone: The zone's id.
        files: How many files were removed.
        size: Bytes of the removed files.
        left: Remaining bytes of the log.
    """

    zone: str
    files: int
    size: int
    left: int


@dataclass(frozen=True, slots=True)
class _Measured:
    size: int = 0
    modified: float = 0.0


class EndedLogs:
    """Removes logs of ended zones when all of them together exceed a budget."""

    def __init__(self, logs: LogStore, max_bytes: int = ENDED_LOGS_MB * MIB) -> None:
        self._logs = logs
        self._max_bytes = max_bytes
        # Ordered by the time of measurement, the oldest first. Only the store's thread uses it.
        self._measured: dict[str, _Measured] = {}

    def __repr__(self) -> str:
        return f"<EndedLogs of at most {self._max_bytes} bytes>"

    async def trim(self, live: Collection[str], ends: Mapping[str, float]) -> list[TrimmedLog]:
        """Remove files of the zones that ended first until the logs fit into the budget.

        A zone's oldest files go first. One pass does a bounded part of the work; the next one
        continues.

        Args:
            live: The zones whose logs are neither counted nor touched. Call `trim` right
                after determining them, with no await between, so that its work is queued before
                that of a later start.
            ends: When zones have ended, in seconds since the epoch. Any other zone counts as
                ended when its log was last written to.

        Returns:
            What was removed, by zone.

        Raises:
            LogStorageError: The directory of all logs can't be listed.
        """
        return await self._logs.run(self._trim, live, ends)

    def _trim(self, live: Collection[str], ends: Mapping[str, float]) -> list[TrimmedLog]:
        zones = [zone for zone in list_zones(self._logs.root) if zone not in live]
        kept = set(zones)
        self._measured = {zone: each for zone, each in self._measured.items() if zone in kept}
        new = [zone for zone in zones if zone not in self._measured]
        for zone in [*new, *self._measured][:MAX_MEASURED]:
            self._measure(zone)
        excess = sum(each.size for each in self._measured.values()) - self._max_bytes
        trimmed: list[TrimmedLog] = []
        if excess <= 0 or len(new) > MAX_MEASURED:
            return trimmed
        for zone in self._by_end(ends):
            if excess <= 0 or len(trimmed) == MAX_TRIMMED:
                break
            removed = self._remove(zone, excess)
            if removed is not None:
                excess -= removed.size
                trimmed.append(removed)
        return trimmed

    def _by_end(self, ends: Mapping[str, float]) -> list[str]:
        """Return the zones whose logs may be removed, in the order in which they ended."""
        now = time.time()
        found: list[tuple[float, str]] = []
        for zone, each in self._measured.items():
            is_fresh = zone not in ends and 0 <= now - each.modified < UNKNOWN_SECONDS
            if each.size and not is_fresh:
                found.append((ends.get(zone, each.modified), zone))
        return [zone for _, zone in sorted(found)]

    def _measure(self, zone: str) -> None:
        before = self._measured.pop(zone, None)
        try:
            with open_directory(self._logs.root, zone, "measure") as directory:
                files = list_files(directory)
                self._logs.volume.measure(zone, files)
        except UnknownLog:
            return
        except LogError as error:
            if before is None:
                log.warning("could not measure a log", zone=zone, error=str(error))
            self._measured[zone] = _Measured()
            return
        modified = max((file.modified for file in files), default=0.0)
        self._measured[zone] = _Measured(sum(file.size for file in files), modified)

    def _remove(self, zone: str, excess: int) -> TrimmedLog | None:
        try:
            with open_directory(self._logs.root, zone, "remove files of") as directory:
                removed = remove_ended(directory, excess)
        except LogError as error:
            log.warning("could not remove files of a log", zone=zone, error=str(error))
            return None
        self._logs.volume.count_removed(removed)
        self._measure(zone)
        left = self._measured.get(zone, _Measured()).size
        return TrimmedLog(zone, len(removed), sum(file.size for file in removed), left)
