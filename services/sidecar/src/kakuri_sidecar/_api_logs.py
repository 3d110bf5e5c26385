"""The HTTP API for logs of containers."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from kakuri_http import Request, Response, Router
from kakuri_json import Fault, ValidationError, encode
from kakuri_zones import DEFAULT_LOG_BYTES, ZoneNode

from kakuri_sidecar._api import LINES, with_problems
from kakuri_sidecar._queries import ListQuery, LogQuery, read_query

TEXT = "text/plain; charset=utf-8"
"""The usual encoding of logs; the bytes themselves are passed on unchanged."""

NEXT_FIELD = "Kakuri-Log-Next"
ENDED_FIELD = "Kakuri-Log-Ended"
GAP_FIELD = "Kakuri-Log-Gap"


class LogApi:
    """The handlers of logs."""

    def __init__(self, node: ZoneNode) -> None:
        self._node = node

    def add_to(self, router: Router) -> None:
        """Add the routes."""
        router.add("GET", "/zones/:id/log", with_problems(self.log))
        router.add("GET", "/logs", with_problems(self.watch))

    async def watch(self, request: Request) -> Response:
        """Report which logs grow, a line for each event; only as a stream."""
        if not read_query(request, ListQuery).watch:
            raise ValidationError((Fault("$.watch", "expected ?watch, got a request without it"),))
        return Response(200, self._events(), None, LINES)

    async def log(self, request: Request) -> Response:
        """Return a part of a zone's log and the cursor after it, or a stream for people."""
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
