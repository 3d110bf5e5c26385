"""What a client is told when a handler fails, and what only the log is."""

import logging

from kakuri_http._errors import ClientDisconnected, RemoteProtocolError
from kakuri_http._problems import problem
from kakuri_http._response import Response

log = logging.getLogger("kakuri_http")


def fault_response(error: BaseException, during: str) -> Response:
    """Turn what a handler raised into an answer; the trace goes to the log and nowhere else."""
    if isinstance(error, RemoteProtocolError):
        return problem(error.status, detail=str(error), code=error.code)
    if isinstance(error, ClientDisconnected):
        return problem(400, detail="the content was cut off", code="bad_request")
    log.error("%s failed", during, exc_info=error)
    return problem(500, code="internal")
