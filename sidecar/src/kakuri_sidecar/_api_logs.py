"""The HTTP API: what containers wrote."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from kakuri_http import Request, Response, Router
from kakuri_json import Fault, StructureError, encode
from kakuri_zones import DEFAULT_LOG_BYTES, ZoneNode

from kakuri_sidecar._api import LINES, answering_problems
from kakuri_sidecar._queries import ListQuery, LogQuery, read_query

TEXT = "text/plain; charset=utf-8"
"""Most of it is; the bytes are given as they were written."""

NEXT_FIELD = "Kakuri-Log-Next"
ENDED_FIELD = "Kakuri-Log-Ended"
GAP_FIELD = "Kakuri-Log-Gap"


class LogApi:
    """The handlers of logs."""

    def __init__(self, node: ZoneNode) -> None:
        self._node = node

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/zones/:id/log", answering_problems(self.log))
        router.add("GET", "/logs", answering_problems(self.watch))

    async def watch(self, request: Request) -> Response:
        """Report which logs grow, a line for each event; only as a stream."""
        if not read_query(request, ListQuery).watch:
            raise StructureError((Fault("$.watch", "expected ?watch, got a request without it"),))
        return Response(200, self._events(), None, LINES)

    async def log(self, request: Request) -> Response:
        """Return a zone's log: one part for a program, or a stream of it."""
        asked = read_query(request, LogQuery)
        zone_id: str = request.params["id"]
        if not asked.is_for_programs:
            content = await self._node.stream_log(zone_id, tail=asked.tail, follow=asked.follow)
            return Response(200, content, None, TEXT)
        chunk = await self._node.read_log(
            zone_id,
            tail=asked.tail,
            after=asked.after or None,
            limit=asked.limit or DEFAULT_LOG_BYTES,
            wait=asked.wait or 0,
            bounded=asked.bounded,
        )
        headers = {NEXT_FIELD: chunk.next, ENDED_FIELD: "true" if chunk.has_ended else "false"}
        if chunk.has_gap:
            headers[GAP_FIELD] = "true"
        return Response(200, chunk.content, headers, TEXT)

    async def _events(self) -> AsyncIterator[bytes]:
        async with aclosing(self._node.log_events()) as events:
            async for event in events:
                yield encode(event) + b"\n"
