"""Reading logs behind a sidecar.

A waiting reader holds no connection. The sidecar reports growing logs on one stream and changed
zones on another; only then is a log read again. The stream of logs is open while a reader waits.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

import structlog
from kakuri_http import Client, HttpError, Timeouts
from kakuri_json import JSONError, decode
from kakuri_registry import LogEvent, LogGrown
from kakuri_tcp import LineDecoder, LineError

from kakuri_agent._runtime import (
    LogPart,
    LogRequest,
    NoLog,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent._sidecar_answers import content, fault_of, problem_of
from kakuri_agent._signals import Signals, wait_for

log = structlog.get_logger()

LOG_SECONDS = 10.0
"""For a part of a log."""

MAX_EVENT = 4096
"""Bytes of one event about a log: it has an id."""

SILENCE = 20.0
"""Seconds without an event after which the stream of logs counts as broken."""

_OK, _BAD_REQUEST, _NOT_FOUND, _UNAVAILABLE = 200, 400, 404, 503

_CURSOR = re.compile(r"[A-Za-z0-9._-]{1,128}")
"""What goes into a query as it is; cursors of sidecars are made of it."""


class ZoneLogs:
    """Reads logs, and waits for them to grow."""

    def __init__(
        self,
        reads: Client,
        events: Client,
        headers: Mapping[str, str],
        retry: tuple[float, float],
    ) -> None:
        """Create a reader.

        Args:
            reads: the client for parts of logs.
            events: the client for the stream of events about logs.
            headers: sent with the request for that stream.
            retry: the first and the longest pause before that stream is opened again, in seconds.

        """
        self._reads = reads
        self._events = events
        self._headers = headers
        self._retry = retry
        self._signals = Signals()
        self._following: asyncio.Task[None] | None = None

    async def read(self, zone_id: str, request: LogRequest) -> LogPart:
        """Return a part of a zone's log; wait for there to be one if the request says so.

        Raises:
            NoLog: the zone has no log.
            UnknownCursor: the sidecar did not return that cursor.
            RuntimeUnavailable: the sidecar does not answer.
            RuntimeFault: the sidecar reported another error.

        """
        if not request.wait:
            return await self._part(zone_id, request)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait
        with self._signals.watch(zone_id) as changed:
            if self._following is None:
                self._following = loop.create_task(self._follow())
            part = await self._part(zone_id, request)
            while not part.data and not part.ended:
                if not await wait_for(changed, deadline - loop.time()):
                    break
                following = await self._part(zone_id, replace(request, after=part.next))
                part = replace(following, gap=part.gap or following.gap)
        return part

    def zone_changed(self, zone_id: str) -> None:
        """Wake the readers that wait for a zone's log."""
        self._signals.set(zone_id)

    async def close(self) -> None:
        """Follow nothing more."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _part(self, zone_id: str, request: LogRequest) -> LogPart:
        query = f"limit={request.limit}&wait=0"
        if request.after is not None:
            if not _CURSOR.fullmatch(request.after):
                raise UnknownCursor(f"expected a cursor of this log, got {request.after!r}")
            query += f"&after={request.after}"
        elif request.tail is not None:
            query += f"&tail={request.tail}"
        if request.bounded:
            query += "&bounded"
        timeouts = Timeouts(read=LOG_SECONDS, total=LOG_SECONDS)
        try:
            response = await self._reads.request(
                "GET", f"/zones/{zone_id}/log?{query}", timeouts=timeouts
            )
        except HttpError as error:
            log.warning("no log from the sidecar", id=zone_id, error=str(error))
            raise RuntimeUnavailable(f"no log: {fault_of(error)}") from error
        following = response.headers.get("kakuri-log-next")
        if response.status == _NOT_FOUND:
            raise NoLog(problem_of(response).detail)
        if response.status == _BAD_REQUEST:
            raise UnknownCursor(problem_of(response).detail)
        if response.status == _UNAVAILABLE:
            raise RuntimeUnavailable(f"no log: {problem_of(response).detail}")
        if response.status != _OK or following is None:
            raise RuntimeFault(f"no log: {problem_of(response).detail}")
        ended = response.headers.get("kakuri-log-ended") == "true"
        gap = response.headers.get("kakuri-log-gap") == "true"
        return LogPart(content(response), following, ended, gap)

    async def _follow(self) -> None:
        """Pass on which logs grow, while a reader waits."""
        pause, longest = self._retry
        while self._signals:
            try:
                await self._follow_once()
                pause = self._retry[0]
            except (HttpError, LineError, JSONError, ValueError) as error:
                log.debug("growing logs are not reported", error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        self._following = None

    async def _follow_once(self) -> None:
        timeouts = Timeouts(pool=None, read=SILENCE, total=None)
        decoder = LineDecoder(limit=MAX_EVENT)
        has_begun = False
        opened = self._events.stream("GET", "/logs?watch", headers=self._headers, timeouts=timeouts)
        async with opened as response:
            if response.status != _OK:
                raise ValueError(f"expected events about logs, got status {response.status}")
            async for piece in response:
                decoder.receive_data(piece)
                while (line := decoder.next_line()) is not None:
                    event: LogEvent = decode(line, type=LogEvent)
                    if isinstance(event, LogGrown):
                        self._signals.set(event.id)
                    elif not has_begun:
                        has_begun = True  # what was written before that was not reported
                        self._signals.set_all()
                    elif not self._signals:
                        return
