"""Errors of the agent and of submitted documents as problem details (RFC 9457)."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kakuri_daemon.api import document_problem
from kakuri_http import Response, problem
from kakuri_json import Fault, ValidationError, encode
from kakuri_rpc import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    DocumentTooLarge,
    ErrorCode,
    Node,
    RPCError,
    TooManyLogs,
)
from kakuri_workload import Workload

from kakuri_control_plane._admission import TooManyLargeDocuments
from kakuri_control_plane._agent_turns import TooManyReads
from kakuri_control_plane._content import UnsupportedContent
from kakuri_control_plane._event_hub import TooManyStreams
from kakuri_control_plane._event_streams import StoreReplaced
from kakuri_control_plane._headers import HeaderError, VersionMismatch
from kakuri_control_plane._metrics import TooManyScrapes

RETRY_AFTER = {"Retry-After": "1"}
"""Seconds: every request tries to connect to the agent again, so an early retry does no harm."""

RETRY_WHEN_FULL = {"Retry-After": "30"}
"""Seconds: a full node has room again when a workload has ended, which can't be predicted."""

UNAVAILABLE = 503
GONE = 410
PRECONDITION_FAILED = 412

_NOT_A_LIST = re.compile(r"expected an array, got ('([^'\"\\\\]*)'|.*)", re.DOTALL)

# Codes that are not listed are faults of the agent itself: 500.
_STATUSES = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.CONFLICT: 409,
    ErrorCode.VERSION_MISMATCH: PRECONDITION_FAILED,
    ErrorCode.NEVER_FITS: 422,  # no known node can ever run it
    ErrorCode.RUNTIME_UNAVAILABLE: UNAVAILABLE,
    ErrorCode.CAPACITY: UNAVAILABLE,  # the same request can succeed later, without a change
}


def workload_problem(error: ValidationError) -> Response:
    """Return the response to a document that is not a valid workload."""
    return document_problem(ValidationError(tuple(map(_explain, error.faults))))


def _explain(fault: Fault) -> Fault:
    """Return a fault that shows what can stand in for an id, or how to write a list."""
    if fault.path == "$.id" and fault.message.endswith("got nothing"):
        return Fault(fault.path, f"{fault.message}, and no Idempotency-Key from which to make one")
    match = _NOT_A_LIST.fullmatch(fault.message)
    if match is None or fault.path not in ("$.command", "$.args"):
        return fault
    message = f"expected a list of strings, got {match[1]}"
    if match[2] is not None and (words := match[2].split()):
        message += ": write [" + ", ".join(f'"{word}"' for word in words) + "]"
    return Fault(fault.path, message)


def agent_problem(error: RPCError, *, status: int | None = None) -> Response:
    """Return the response to a request that the agent refused, failed at, or did not answer.

    Args:
        error: What the agent's client raised.
        status: The status, where it does not depend on the error.
    """
    if isinstance(error, AgentError) and error.code is ErrorCode.COMPACTED:
        return _compacted_problem(error)
    retry = RETRY_AFTER
    match error:
        case AgentError():
            usual, code = _STATUSES.get(error.code, 500), error.code.value
            if error.code is ErrorCode.CAPACITY:
                retry = RETRY_WHEN_FULL
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
    return problem(
        status, code=code, detail=str(error), errors=_differences(error), headers=headers
    )


def _compacted_problem(error: AgentError | StoreReplaced) -> Response:
    """Return 410; if the client named another store, with the id of the current one."""
    members = {
        "title": "Gone",
        "status": GONE,
        "detail": f"{error}; list the workloads again",
        "code": ErrorCode.COMPACTED.value,
        "oldest": error.oldest,
        "newest": error.newest,
        "store_id": getattr(error, "store_id", None),
    }
    content = {name: value for name, value in members.items() if value is not None}
    return Response(GONE, encode(content), content_type="application/problem+json")


def _differences(error: RPCError) -> list[dict[str, str]]:
    """Return a fault for each path where two specifications differ; values may be secret."""
    paths = error.differences if isinstance(error, AgentError) else []
    return [{"path": path, "message": "differs from the existing workload"} for path in paths]


def never_fits_problem(error: AgentError, workload: Workload, node: Node) -> Response:
    """Return 422 for a workload that needs more than a node has in total, with its figures."""
    faults = [
        {"path": f"$.{name}", "message": f"expected at most {total}, got {needed}"}
        for name, needed, total in (
            ("memory_mb", workload.memory_mb, node.memory_mb),
            ("cpu_millicores", workload.cpu_millicores, node.cpu_millicores),
        )
        if total is not None and needed > total
    ]
    return problem(422, code=error.code.value, detail=str(error), errors=faults)


def header_problem(error: HeaderError) -> Response:
    """Return 400 for a field of a request that is not valid."""
    fault = {"path": f"header.{error.name}", "message": error.message}
    return problem(400, code="bad_request", detail=str(error), errors=[fault])


def version_problem(error: VersionMismatch) -> Response:
    """Return 412 for a request whose If-Match has other versions than the workload."""
    code = ErrorCode.VERSION_MISMATCH.value
    return problem(PRECONDITION_FAILED, code=code, detail=str(error))


def content_problem(error: UnsupportedContent) -> Response:
    """Return 415 for content that can't be JSON."""
    return problem(415, code="unsupported_media_type", detail=str(error))


def runtime_unavailable(reason: str | None) -> Response:
    """Return the response to a readiness probe while the agent's runtime can't be used."""
    detail = reason or "the container runtime does not answer"
    return problem(UNAVAILABLE, code="runtime_unavailable", detail=detail, headers=RETRY_AFTER)


def _limit_problem(code: str, error: Exception) -> Response:
    """Return 503 for a request beyond a limit; it succeeds once others have ended."""
    return problem(UNAVAILABLE, code=code, detail=str(error), headers=RETRY_AFTER)


PROBLEMS: Mapping[type[Exception], Callable[[Any], Response]] = {
    ValidationError: workload_problem,
    TooManyLargeDocuments: partial(_limit_problem, "busy"),
    TooManyReads: partial(_limit_problem, "busy"),
    RPCError: agent_problem,
    TooManyStreams: partial(_limit_problem, "too_many_streams"),
    TooManyScrapes: partial(_limit_problem, "too_many_scrapes"),
    StoreReplaced: _compacted_problem,
    HeaderError: header_problem,
    VersionMismatch: version_problem,
    UnsupportedContent: content_problem,
}
"""The exceptions of the handlers, each with the function that returns its response."""
