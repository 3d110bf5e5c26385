"""What can go wrong, as problem details (RFC 9457)."""

from kakuri_http import Response, problem
from kakuri_json import JSONError, StructureError

from kakuri_sidecar._errors import (
    CallUnanswered,
    CriError,
    SidecarError,
    StaleAgent,
    StartCancelled,
    StartFailed,
    UnknownZone,
    ZoneConflict,
)
from kakuri_sidecar._log_errors import LogCursorError, LogError, UnknownLog

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds: a runtime that restarts is back about then, and is found within three."""


def document_problem(error: JSONError) -> Response:
    """Answer a document that is no JSON, or not what it has to be: every fault with its path."""
    if not isinstance(error, StructureError):
        detail = str(error).partition("\n")[0]  # without the excerpt and its caret
        return problem(400, code="bad_request", detail=detail)
    errors = [{"path": fault.path, "message": fault.message} for fault in error.faults]
    faults = "1 fault" if len(errors) == 1 else f"{len(errors)} faults"
    return problem(400, code="bad_request", detail=f"the document has {faults}", errors=errors)


def zone_problem(error: SidecarError | LogError) -> Response:
    """Answer a request that could not be met."""
    match error:
        case ZoneConflict():
            return problem(409, code="conflict", detail=str(error))
        case StaleAgent():
            return problem(409, code="stale_agent", detail=str(error))
        case UnknownZone() | UnknownLog():
            return not_found(str(error))
        case StartFailed():
            return problem(502, code=error.reason, detail=str(error))
        case StartCancelled():
            return problem(409, code="Stopped", detail=str(error))
        case CallUnanswered():
            detail = str(error)
            return problem(503, code="RuntimeUnavailable", detail=detail, headers=RETRY_AFTER)
        case CriError():
            return problem(502, code="RuntimeError", detail=str(error))
        case LogCursorError():
            return problem(400, code="bad_request", detail=str(error))
        case _:
            return problem(500, code="internal", detail=str(error))


def not_found(detail: str) -> Response:
    """Answer a request for what is not there."""
    return problem(404, code="not_found", detail=detail)
