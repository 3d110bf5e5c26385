"""Reading logs of zones.

A waiting reader holds no connection. One stream reports growing logs and another changed zones;
only then is a log read again. The stream of logs is open while a reader waits.
"""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import structlog
from kakuri_daemon import KeyedEvents, cancel_all, set_trace, wait_until_set
from kakuri_workload import LogChunk, LogGrown, LogRequest, LogSelection

from kakuri_agent.runtimes._protocol import NoLog, RuntimeFault, RuntimeUnavailable
from kakuri_agent.runtimes._zone_operations import ZoneOperations

log = structlog.get_logger()

LOG_SECONDS = 3.0
"""Seconds that a part of a log may take, so that the agent answers within its client's timeout."""

KEPT_BYTES = 65_536
"""Bytes of the end of a removed zone's log that are kept."""

KEPT_LINES = (4096, 256, 16, 1)
"""Numbers of last lines to try, in this order, until MAX_KEPT_PARTS reads return all of them."""

MAX_KEPT_PARTS = 8
"""For each number in KEPT_LINES: the maximum number of reads that return content, and separately
of reads that return none because they are still searching for the first line."""


class ZoneLogs:
    """Reads logs, and waits for them to grow."""

    def __init__(self, zones: ZoneOperations, retry: tuple[float, float]) -> None:
        """Prepare to read the logs of all zones.

        Args:
            zones: Reads the logs and reports which grow.
            retry: The first and the longest pause before the stream of events about logs is
                opened again, in seconds.
        """
        self._zones = zones
        self._retry = retry
        self._waiting = KeyedEvents()
        self._following: asyncio.Task[None] | None = None

    async def read(self, zone_id: str, request: LogRequest) -> LogChunk:
        """Return a part of a zone's log; wait for content as long as the request asks.

        Raises:
            NoLog: The zone has no log.
            UnknownCursor: The request's cursor is not one of this log.
            RuntimeUnavailable: The sidecar or the runtime does not answer.
            RuntimeFault: The log can't be read.
        """
        if not request.wait:
            return await self._read(zone_id, request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait
        with self._waiting.watch(zone_id) as changed:
            if self._following is None:
                self._following = loop.create_task(self._follow())
            part = await self._read(zone_id, request)
            while not part.data and not part.has_ended and not part.examined:
                if not await wait_until_set(changed, deadline - loop.time()):
                    break
                following = await self._read(zone_id, replace(request, after=part.next))
                part = replace(following, has_gap=part.has_gap or following.has_gap)
        return part

    def zone_changed(self, zone_id: str) -> None:
        """Wake the readers that wait for a zone's log."""
        self._waiting.set(zone_id)

    async def close(self) -> None:
        """Stop following the stream of growing logs."""
        if self._following is not None:
            await cancel_all([self._following])

    async def _read(self, zone_id: str, request: LogRequest) -> LogChunk:
        try:
            async with asyncio.timeout(LOG_SECONDS):
                return await self._zones.read_log(zone_id, request)
        except TimeoutError:
            message = f"the log could not be read within {LOG_SECONDS:g} s"
            log.warning("reading a log timed out", id=zone_id, seconds=LOG_SECONDS)
            raise RuntimeUnavailable(message) from None

    async def _follow(self) -> None:
        """Wake the readers of growing logs, while at least one waits."""
        set_trace(None)  # for all readers, not only for the one that came first
        pause, longest = self._retry
        while self._waiting:
            try:
                await self._follow_once()
                pause = self._retry[0]
            except RuntimeUnavailable as error:
                log.debug("growing logs are not reported", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        self._following = None

    async def _follow_once(self) -> None:
        has_begun = False
        async with aclosing(self._zones.log_events()) as events:
            async for event in events:
                if isinstance(event, LogGrown):
                    self._waiting.set(event.id)
                elif not has_begun:
                    has_begun = True  # content written before the stream opened was not reported
                    self._waiting.set_all()
                elif not self._waiting:
                    return


async def read_log_end(zones: ZoneOperations, zone_id: str) -> bytes:
    """Return the end of a zone's log as records: at most KEPT_BYTES of its last lines.

    A log that can't be read is empty, since the zone is removed all the same.
    """
    content = b""
    try:
        for lines in KEPT_LINES:
            content, is_complete = await _read_lines(zones, zone_id, lines)
            if is_complete:
                excess = len(content) - KEPT_BYTES
                if excess <= 0:
                    return content
                return content[content.find(b"\n", excess - 1) + 1 :]  # begin with a whole record
    except NoLog:
        pass
    except RuntimeFault as error:
        log.warning("the log of a removed workload is lost", id=zone_id, error=str(error))
    return content[: content.rfind(b"\n", 0, KEPT_BYTES) + 1]


async def _read_lines(zones: ZoneOperations, zone_id: str, lines: int) -> tuple[bytes, bool]:
    """Return the last lines of a log, or their beginning; and whether they are complete."""
    content = b""
    parts = searched = 0
    request = LogRequest(tail=lines, bounded=True, records=LogSelection())
    while parts < MAX_KEPT_PARTS and searched < MAX_KEPT_PARTS:
        part = await zones.read_log(zone_id, request)
        content += part.data
        if part.has_ended:
            return content, True
        parts, searched = (parts + 1, searched) if part.data else (parts, searched + 1)
        request = replace(request, after=part.next)
    return content, False
