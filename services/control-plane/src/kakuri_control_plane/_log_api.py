"""The HTTP API of logs."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import structlog
from kakuri_http import Headers, Request, Response, ResponseAborted
from kakuri_rpc import AgentClient, AgentLog, RPCError

from kakuri_control_plane._log_formats import formatted, record_format
from kakuri_control_plane._log_queries import LogFormat, LogQuery
from kakuri_control_plane._logs import Logs
from kakuri_control_plane._users import user_of

_log = structlog.get_logger()

LOG_TYPE = "text/plain; charset=utf-8"
LOG_HEADERS = {"X-Content-Type-Options": "nosniff"}
"""A workload may write any bytes, so a browser must show them as text and never run them."""

GAP_TRAILER = Headers({"Kakuri-Log-Gap": "true"})
"""The trailer of a response that lacks a part of the log, removed before it could be read."""

CONTENT_TYPES = {LogFormat.TEXT: LOG_TYPE, LogFormat.NDJSON: "application/x-ndjson"}


class LogApi:
    """The handler of logs."""

    def __init__(self, agent: AgentClient) -> None:
        self._logs = Logs(agent)
        self._turn = asyncio.Lock()

    async def get_log(self, request: Request, query: LogQuery) -> Response:
        """Return the output of a workload, and with `follow` also what it writes from now on."""
        workload_id = request.params["id"]
        records = query.records(time.time())
        content_type = CONTENT_TYPES[query.format]
        reader = user_of(request)
        if request.method == "HEAD":
            await self._logs.check(workload_id, records, reader, removed=query.removed)
            return Response(200, iter(()), headers=LOG_HEADERS, content_type=content_type)
        log, pieces = await self._logs.open(workload_id, query, records, reader)
        if records is not None:
            pieces = formatted(pieces, record_format(query), self._turn)
        headers = {**LOG_HEADERS, "Trailer": "Kakuri-Log-Gap"}
        response = Response(200, (), headers=headers, content_type=content_type)
        response.body = _report_gap(response, log, pieces)
        return response

    async def end_followed(self) -> None:
        """End the responses that follow a log, now and from now on."""
        await self._logs.end_followed()


async def _report_gap(
    response: Response, log: AgentLog, pieces: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield a log's pieces, then set the response's trailer if some of the log was removed.

    Raises:
        ResponseAborted: The agent failed meanwhile. The server cuts the response off without a
            traceback in its log.
    """
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece
    except RPCError as error:
        _log.warning("log cut off", id=log.workload_id, error=str(error))
        raise ResponseAborted(f"no more of the log from the agent: {error}") from error
    if log.has_gap:
        response.trailers = GAP_TRAILER
