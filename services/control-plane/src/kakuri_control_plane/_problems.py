"""What can go wrong, as problem details (RFC 9457)."""

import re
from collections.abc import Iterable

from kakuri_http import Response, problem
from kakuri_json import Fault, JSONError, ValidationError
from kakuri_rpc import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    DocumentTooLarge,
    ErrorCode,
    RPCError,
    TooManyLogs,
)

from kakuri_control_plane._admission import TooManyLargeDocuments
from kakuri_control_plane._queries import QueryError

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds: the connection to an agent is tried anew with every request, so soon is not too soon."""

RETRY_WHEN_FREED = {"Retry-After": "30"}
"""Seconds: a node has room again once some workload has ended, and nobody knows when."""

UNAVAILABLE = 503

_NO_LIST = re.compile(r"expected an array, got ('([^'\"\\\\]*)'|.*)", re.DOTALL)

# The agent's other codes are errors of its own and none of the caller's doing.
_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.CONFLICT: 409,
    ErrorCode.NEVER_FITS: 422,  # no node that we know could ever run it
    ErrorCode.RUNTIME_UNAVAILABLE: UNAVAILABLE,
    ErrorCode.CAPACITY: UNAVAILABLE,  # the same request can succeed later, without a change
}


def document_problem(error: JSONError) -> Response:
    """Answer a document that is no JSON, or not what it has to be: every fault with its path."""
    if not isinstance(error, ValidationError):
        detail = str(error).partition("\n")[0]  # without the excerpt and its caret
        return problem(400, code="bad_request", detail=detail)
    return _faults_problem("document", map(_in_words, error.faults))


def query_problem(error: QueryError) -> Response:
    """Answer a query with faults: every one with its path."""
    return _faults_problem("query", error.faults)


def _faults_problem(what: str, faults: Iterable[Fault]) -> Response:
    errors = [{"path": fault.path, "message": fault.message} for fault in faults]
    number = "1 fault" if len(errors) == 1 else f"{len(errors)} faults"
    return problem(400, code="bad_request", detail=f"the {what} has {number}", errors=errors)


def _in_words(fault: Fault) -> Fault:
    """Explain a list that was given as one string: a command line is often written that way."""
    match = _NO_LIST.fullmatch(fault.message)
    if match is None or fault.path not in ("$.command", "$.args"):
        return fault
    message = f"expected a list of strings, got {match[1]}"
    if match[2] is not None:
        message += f': write ["{match[2]}"]'
    return Fault(fault.path, message)


def agent_problem(error: RPCError, *, status: int | None = None) -> Response:
    """Answer a request that the agent refused, failed to carry out, or did not answer.

    status is for a request whose status doesn't depend on what went wrong.
    """
    retry = RETRY_AFTER
    match error:
        case AgentError():
            usual, code = _STATUSES.get(error.code, 500), error.code.value
            if error.code is ErrorCode.CAPACITY:
                retry = RETRY_WHEN_FREED
        case AgentUnreachable():
            usual, code = UNAVAILABLE, "agent_unreachable"
        case AgentTimeout():
            usual, code = 504, "agent_timeout"
        case TooManyLogs():
            usual, code = UNAVAILABLE, "too_many_logs"
        case _:
            usual, code = 500, "unexpected_reply"
    status = status or usual
    headers = retry if status == UNAVAILABLE else None
    return problem(status, code=code, detail=str(error), headers=headers)


def too_large(error: DocumentTooLarge) -> Response:
    """Return the answer to a workload that is larger than it may be."""
    return problem(413, code=ErrorCode.TOO_LARGE.value, detail=str(error))


def busy(error: TooManyLargeDocuments) -> Response:
    """Return the answer to a request that may be repeated once others have been answered."""
    return problem(UNAVAILABLE, code="busy", detail=str(error), headers=RETRY_AFTER)


def runtime_unavailable(reason: str | None) -> Response:
    """Return the answer of a probe while the agent's runtime can't be used."""
    detail = reason or "the container runtime does not answer"
    return problem(UNAVAILABLE, code="runtime_unavailable", detail=detail, headers=RETRY_AFTER)


def not_found(workload_id: str) -> Response:
    """Answer a request for a workload that can't exist."""
    return problem(404, code="not_found", detail=f"no workload {workload_id!r}")
