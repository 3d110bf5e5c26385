"""Errors of the agent and of submitted documents as problem details (RFC 9457)."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from kakuri_daemon.api import document_problem
from kakuri_http import Response, problem
from kakuri_json import Fault, ValidationError
from kakuri_rpc import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    DocumentTooLarge,
    ErrorCode,
    RPCError,
    TooManyLogs,
)

from kakuri_control_plane._admission import TooManyLargeDocuments

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds: every request tries to connect to the agent again, so an early retry does no harm."""

RETRY_WHEN_FREED = {"Retry-After": "30"}
"""Seconds: a full node has room again when a workload has ended, which can't be predicted."""

UNAVAILABLE = 503

_NOT_A_LIST = re.compile(r"expected an array, got ('([^'\"\\\\]*)'|.*)", re.DOTALL)

# Codes that are not listed are faults of the agent itself: 500.
_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.CONFLICT: 409,
    ErrorCode.NEVER_FITS: 422,  # no known node can ever run it
    ErrorCode.RUNTIME_UNAVAILABLE: UNAVAILABLE,
    ErrorCode.CAPACITY: UNAVAILABLE,  # the same request can succeed later, without a change
}


def workload_problem(error: ValidationError) -> Response:
    """Return the response to a document that is not a valid workload."""
    return document_problem(ValidationError(tuple(map(_explain, error.faults))))


def _explain(fault: Fault) -> Fault:
    """Show how to write a list that was given as one string, as a shell has it."""
    match = _NOT_A_LIST.fullmatch(fault.message)
    if match is None or fault.path not in ("$.command", "$.args"):
        return fault
    message = f"expected a list of strings, got {match[1]}"
    if match[2] is not None:
        message += f': write ["{match[2]}"]'
    return Fault(fault.path, message)


def agent_problem(error: RPCError, *, status: int | None = None) -> Response:
    """Return the response to a request that the agent refused, failed at, or did not answer.

    Args:
        error: What the agent's client raised.
        status: The status, where it does not depend on the error.
    """
    retry = RETRY_AFTER
    match error:
        case AgentError():
            usual, code = _STATUSES.get(error.code, 500), error.code.value
            if error.code is ErrorCode.CAPACITY:
                retry = RETRY_WHEN_FREED
        case AgentUnreachable() | ClientClosed():  # closed while the control plane stops
            usual, code = UNAVAILABLE, "agent_unreachable"
        case AgentTimeout():
            usual, code = 504, "agent_timeout"
        case TooManyLogs():
            usual, code = UNAVAILABLE, "too_many_logs"
        case DocumentTooLarge():
            usual, code = 413, ErrorCode.TOO_LARGE.value
        case _:
            usual, code = 500, "unexpected_reply"
    status = status or usual
    headers = retry if status == UNAVAILABLE else None
    return problem(status, code=code, detail=str(error), headers=headers)


def busy_problem(error: TooManyLargeDocuments) -> Response:
    """Return the response to a request that may be repeated when others have been answered."""
    return problem(UNAVAILABLE, code="busy", detail=str(error), headers=RETRY_AFTER)


def runtime_unavailable(reason: str | None) -> Response:
    """Return the response to a readiness probe while the agent's runtime can't be used."""
    detail = reason or "the container runtime does not answer"
    return problem(UNAVAILABLE, code="runtime_unavailable", detail=detail, headers=RETRY_AFTER)


PROBLEMS: Mapping[type[Exception], Callable[[Any], Response]] = {
    ValidationError: workload_problem,
    TooManyLargeDocuments: busy_problem,
    RPCError: agent_problem,
}
"""The exceptions of the handlers, each with the function that returns its response."""
