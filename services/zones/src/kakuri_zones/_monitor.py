"""Listing the runtime every second, and at once when it reports an event.

Events only trigger a listing; their content is not used. A runtime may have no events, lose some or
break the stream, and the list is right in any case.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import structlog
from kakuri_cri import CallRefused, CriError, Runtime
from kakuri_workload import RuntimeHealth

from kakuri_zones._observed import ObservedZone
from kakuri_zones._reader import RuntimeReader
from kakuri_zones._settings import DEFAULT_TIMES, MonitorTimes
from kakuri_zones._table import ZoneTable

log = structlog.get_logger()


class Monitor:
    """Lists the runtime until `run` is cancelled."""

    def __init__(
        self,
        cri: Runtime,
        reader: RuntimeReader,
        table: ZoneTable,
        drop_missing: Callable[[Mapping[str, ObservedZone], int], Awaitable[bool]],
        on_listed: Callable[[Mapping[str, ObservedZone]], None],
        times: MonitorTimes = DEFAULT_TIMES,
        handlers: Mapping[str, str] | None = None,
    ) -> None:
        self._cri = cri
        self._reader = reader
        self._table = table
        self._drop_missing = drop_missing
        self._on_listed = on_listed
        self._times = times
        self._handlers = None if handlers is None else dict(handlers)
        self._wakeup = asyncio.Event()
        self._has_logged_outage = False  # once per outage, however the errors change
        self.has_events: bool | None = None
        """Whether the runtime reports events; None until one arrived or the call was refused."""
        self.fault: str | None = None
        """Why the runtime can't run zones although it answers; reported with the next listing."""

    async def run(self) -> None:
        """List and follow events until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._list_repeatedly())
            tasks.create_task(self._follow_events())

    def wake(self) -> None:
        """Trigger a listing."""
        self._wakeup.set()

    async def _list_repeatedly(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wakeup.clear()
            begun = loop.time()
            await self._list()
            await asyncio.sleep(self._times.gap_after(loop.time() - begun))
            pause = self._times.interval if self.has_events else self._times.without_events
            if self._table.has_provisional:
                pause = self._times.provisional
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wakeup.wait()

    async def _list(self) -> None:
        begun = self._table.begin_listing()
        try:
            observed = await self._reader.all()
            if not self._table.has_listing and await self._drop_missing(observed, begun):
                observed = await self._reader.all()
        except CriError as error:
            if not self._has_logged_outage:
                log.warning("the runtime does not answer", error=str(error))
            self._has_logged_outage = True
            self._table.set_health(
                RuntimeHealth(available=False, message=str(error), handlers=self._handlers)
            )
            return
        if not self._table.health.available:
            log.info("the runtime answers", zones=len(observed))
        self._has_logged_outage = False
        self._table.set_health(
            RuntimeHealth(available=True, message=self.fault, handlers=self._handlers)
        )
        current = self._table.end_listing(observed, begun)
        await asyncio.sleep(0)  # with thousands of zones, each half takes some milliseconds
        self._on_listed(current)

    async def _follow_events(self) -> None:
        while True:
            pause = self._times.resubscribe
            try:
                async with self._cri.events() as events:
                    async for _ in events:
                        self.has_events = True
                        self.wake()
            except CallRefused as error:
                if self.has_events is not False:
                    log.info("the runtime reports no events", error=str(error))
                self.has_events = False
                pause = self._times.retry_events
            except CriError as error:
                log.debug("the stream of events broke", error=str(error))
            self.wake()
            await asyncio.sleep(pause)
