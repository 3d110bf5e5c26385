"""The HTTP API for logs of containers."""

from kakuri_daemon.api import APIRouter, QueryError
from kakuri_http import Request, Response
from kakuri_json import Fault
from kakuri_workload import DEFAULT_LOG_BYTES, LogRequest
from kakuri_zones import ZoneNode

from kakuri_sidecar._api import LINES, event_lines
from kakuri_sidecar._queries import ListQuery, LogQuery

TEXT = "text/plain; charset=utf-8"
"""The usual encoding of logs; the bytes themselves are passed on unchanged."""

NEXT_FIELD = "Kakuri-Log-Next"
ENDED_FIELD = "Kakuri-Log-Ended"
GAP_FIELD = "Kakuri-Log-Gap"
EXAMINED_FIELD = "Kakuri-Log-Examined"


class LogApi:
    """The handlers of logs."""

    def __init__(self, node: ZoneNode) -> None:
        self._node = node

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        router.add("GET", "/zones/:id<zone>/log", self.log, query=LogQuery)
        router.add("GET", "/logs", self.watch, query=ListQuery)

    async def watch(self, _request: Request, query: ListQuery) -> Response:
        """Report which logs grow, a line for each event; only as a stream."""
        if not query.watch:
            raise QueryError([Fault("query.watch", "expected ?watch, got a request without it")])
        return Response(200, event_lines(self._node.log_events()), content_type=LINES)

    async def log(self, request: Request, query: LogQuery) -> Response:
        """Return a part of a zone's log and the cursor after it, or a stream for people."""
        zone_id: str = request.params["id"]
        records = query.selection
        if not query.is_for_programs:
            content = await self._node.stream_log(zone_id, tail=query.tail, follow=query.follow)
            return Response(200, content, content_type=TEXT)
        part = LogRequest(
            query.tail,
            query.after or None,
            query.limit or DEFAULT_LOG_BYTES,
            query.wait or 0,
            query.bounded,
            records,
        )
        chunk = await self._node.read_log(zone_id, part)
        headers = {
            NEXT_FIELD: chunk.next,
            ENDED_FIELD: "true" if chunk.has_ended else "false",
            EXAMINED_FIELD: str(chunk.examined),
        }
        if chunk.has_gap:
            headers[GAP_FIELD] = "true"
        return Response(200, chunk.data, headers=headers, content_type=TEXT)
