"""The HTTP API: what containers wrote."""

import re
from collections.abc import AsyncIterator, Callable

from kakuri_http import Request, Response, Router
from kakuri_json import Fault, StructureError, encode
from kakuri_registry import WORKLOAD_ID

from kakuri_sidecar._api import LINES, answering_problems
from kakuri_sidecar._errors import UnknownZone
from kakuri_sidecar._log_store import LogStore
from kakuri_sidecar._log_watch import LogWatch
from kakuri_sidecar._queries import DEFAULT_LOG_BYTES, ListQuery, LogQuery, read_query
from kakuri_sidecar._table import ZoneTable

TEXT = "text/plain; charset=utf-8"
"""Most of it is; the bytes are given as they were written."""

NEXT_FIELD = "Kakuri-Log-Next"
ENDED_FIELD = "Kakuri-Log-Ended"
GAP_FIELD = "Kakuri-Log-Gap"


class LogApi:
    """The handler of logs."""

    def __init__(self, logs: LogStore, table: ZoneTable, watch: LogWatch) -> None:
        self._logs = logs
        self._table = table
        self._watch = watch

    def add_to(self, router: Router) -> None:
        """Add the route."""
        router.add("GET", "/zones/:id/log", answering_problems(self.log))
        router.add("GET", "/logs", answering_problems(self.watch))

    async def watch(self, request: Request) -> Response:
        """Report which logs grow, a line for each event; only as a stream."""
        if not read_query(request, ListQuery).watch:
            raise StructureError((Fault("$.watch", "expected ?watch, got a request without it"),))
        return Response(200, self._events(), None, LINES)

    async def _events(self) -> AsyncIterator[bytes]:
        async for event in self._watch.events():
            yield encode(event) + b"\n"

    async def log(self, request: Request) -> Response:
        """Give a zone's log: one piece for a program, or a stream of it."""
        asked = read_query(request, LogQuery)
        zone_id: str = request.params["id"]
        if not re.fullmatch(WORKLOAD_ID, zone_id):
            raise UnknownZone(f"no zone {zone_id!r}")
        has_ended = self._end_of(zone_id)
        if asked.is_for_programs:
            after = asked.after or None
            if after is None and asked.tail is not None:
                after = await self._logs.tail(zone_id, asked.tail)
            limit = asked.limit or DEFAULT_LOG_BYTES
            if asked.bounded:
                chunk = await self._logs.read_bounded(zone_id, after, limit=limit)
            else:
                chunk = await self._logs.read(
                    zone_id, after, limit=limit, wait=asked.wait or 0, has_ended=has_ended
                )
            headers = {NEXT_FIELD: chunk.next, ENDED_FIELD: "true" if chunk.has_ended else "false"}
            if chunk.has_gap:
                headers[GAP_FIELD] = "true"
            return Response(200, chunk.content, headers, TEXT)
        # Asked first in any case: what isn't there is told before the answer has begun.
        tail = await self._logs.tail(zone_id, asked.tail or 0)
        after = tail if asked.tail is not None else None
        content = self._logs.stream(zone_id, after, follow=asked.follow, has_ended=has_ended)
        return Response(200, content, None, TEXT)

    def _end_of(self, zone_id: str) -> Callable[[], bool]:
        """Give what says whether nothing more will be written."""

        def has_ended() -> bool:
            status = self._table.get(zone_id)
            return self._table.has_listing and (status is None or status.state.is_terminal)

        return has_ended
