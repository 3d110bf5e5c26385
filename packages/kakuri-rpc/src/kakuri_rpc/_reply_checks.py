"""Decodes replies, and checks them against their requests.

The types limit each field during decoding. This module then compares the reply with the request,
and makes the agent's messages printable, because operators read them, and the agent may be hostile.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from kakuri_json import JSONError, decode
from kakuri_tcp import ClientClosed as LineClientClosed
from kakuri_tcp import RequestLost, RequestNotSent, RequestTimeout, UnrequestedLine
from kakuri_workload import Event, Isolation, Removal, Transition, printable
from kakuri_workload.metrics import MAX_HELP_LENGTH, MAX_LABEL_LENGTH, MetricFamily

from kakuri_rpc._base import PENDING_LINE
from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    UnexpectedReply,
    one_line,
)
from kakuri_rpc._events import Changes, WatchChanges
from kakuri_rpc._fields import (
    MAX_ADDRESS_LENGTH,
    MAX_DIGEST_LENGTH,
    MAX_ERROR_LENGTH,
    MAX_MESSAGE_LENGTH,
    MAX_NAME_LENGTH,
    MAX_NODE_NAME_LENGTH,
    MAX_PATH_LENGTH,
    MAX_REASON_LENGTH,
    MAX_RUNTIME_ID_LENGTH,
    Desired,
    ErrorCode,
    State,
)
from kakuri_rpc._messages import ErrorReply, History, Log, Node, Reply, Status, WorkloadList
from kakuri_rpc._metrics import MAX_METRIC_SAMPLES, Metrics
from kakuri_rpc._requests import ListWorkloads, ReadLog, Request, StartWorkload

R = TypeVar("R", Status, WorkloadList, Node, Log, History, Changes, Metrics, ErrorReply)

MAX_QUOTED = 500
"""Characters of an unexpected reply that an error quotes; the data of a log can be a hundred times
as long."""

_PENDING = State.PENDING
_ABOUT_A_WORKLOAD = (Status, History, ErrorReply)


def decode_reply(line: bytes, request: Request) -> Reply:
    """Decode the reply in a line, and make its text printable.

    Raises:
        UnexpectedReply: The line is not a reply of the agent protocol.
    """
    if isinstance(request, StartWorkload):
        workload_id = request.workload.id
        if line == PENDING_LINE % workload_id.encode():
            return Status(workload_id, _PENDING)
    try:
        reply: Reply = decode(line, type=Reply)
    except JSONError as error:
        faults = printable(one_line(error), MAX_QUOTED)
        raise UnexpectedReply(f"the reply is not valid in the agent protocol: {faults}") from error
    return cleaned(reply)  # type: ignore[type-var]  # mypy: a union of what it accepts


def mismatch(request: Request, reply: Reply) -> str | None:
    """Return why `reply` can't be the reply to `request`, or None if it can."""
    if not isinstance(reply, _ABOUT_A_WORKLOAD):
        if isinstance(request, ListWorkloads) and isinstance(reply, WorkloadList):
            return next(_page_faults(request, reply), None)
        if isinstance(request, WatchChanges) and isinstance(reply, Changes):
            return next(_event_faults(request, reply), None)
        if isinstance(request, ReadLog) and isinstance(reply, Log):
            return next(_log_faults(request, reply), None)
        if isinstance(reply, Metrics):
            return next(_metric_faults(reply), None)
        return None
    asked: str | None
    if isinstance(request, StartWorkload):
        asked = request.workload.id
    else:
        asked = getattr(request, "id", None)
    # An error may omit the id, and a request without an id may be rejected because of any workload.
    if reply.id == asked or (isinstance(reply, ErrorReply) and (asked is None or reply.id is None)):
        return None
    return f"expected a reply about {asked!r}, got one about {reply.id!r}"


def error_of(
    request: Request, reply: Reply, expected: type[Any], fault: str | None
) -> UnexpectedReply | AgentError | AgentUnreachable:
    """Return the error for a reply that is unexpected, does not match or reports an error.

    Args:
        request: The request.
        reply: Its reply.
        expected: The class of the expected reply.
        fault: The result of `mismatch` for them.
    """
    if not isinstance(reply, (expected, ErrorReply)):
        quoted = printable(repr(reply), MAX_QUOTED)
        name = type(request).__name__
        return UnexpectedReply(f"expected {expected.__name__} for {name}, got {quoted}")
    if fault is not None:
        return UnexpectedReply(printable(fault, MAX_QUOTED))
    assert isinstance(reply, ErrorReply)
    return _refusal(reply) or AgentError(reply)


def as_rpc_error(error: Exception) -> Exception:
    """Convert an error of a line client to one of this package; return other errors unchanged."""
    converted: Exception
    if isinstance(error, LineClientClosed):
        converted = ClientClosed(str(error))
    elif isinstance(error, RequestNotSent | RequestLost):
        cause = error.__cause__
        refusal = _refusal_by(cause.line) if isinstance(cause, UnrequestedLine) else None
        converted = refusal or AgentUnreachable(str(error))
    elif isinstance(error, RequestTimeout):
        converted = AgentTimeout(str(error))
    else:
        return error
    converted.__cause__ = error.with_traceback(None)  # whose frames refer to the call
    return converted


def _refusal_by(line: bytes) -> AgentUnreachable | None:
    """Return the error if a line refuses the connection, which may precede the first request."""
    try:
        reply: Reply = decode(line, type=Reply)
    except JSONError:
        return None
    return _refusal(cleaned(reply)) if isinstance(reply, ErrorReply) else None


def _refusal(reply: ErrorReply) -> AgentUnreachable | None:
    if reply.code is not ErrorCode.FORBIDDEN:
        return None
    return AgentUnreachable(f"the agent refused the connection: {reply.message}")


def cleaned(reply: R) -> R:
    """Return the reply with all of the agent's text made printable and limited in length."""
    match reply:
        case Status():
            return _clean_status(reply)
        case WorkloadList():
            return replace(reply, workloads=[_clean_status(each) for each in reply.workloads])
        case History():
            return replace(reply, transitions=[_clean_status(each) for each in reply.transitions])
        case Changes():
            return replace(reply, events=[_clean_event(each) for each in reply.events])
        case Metrics():
            return replace(reply, families=[_clean_family(each) for each in reply.families])
        case Node():
            return replace(
                reply,
                version=printable(reply.version, MAX_NAME_LENGTH),
                runtime=printable(reply.runtime, MAX_NAME_LENGTH),
                name=_clean(reply.name, MAX_NODE_NAME_LENGTH),
                store=_clean(reply.store, MAX_NAME_LENGTH),
                message=_clean(reply.message, MAX_MESSAGE_LENGTH),
                reason=_clean(reply.reason, MAX_REASON_LENGTH),
            )
        case ErrorReply():
            return replace(
                reply,
                message=printable(reply.message, MAX_ERROR_LENGTH),
                differences=[printable(each, MAX_PATH_LENGTH) for each in reply.differences],
            )
        case _:
            return reply


def _event_faults(request: WatchChanges, changes: Changes) -> Iterator[str]:
    if len(changes.events) > request.limit:
        yield f"expected at most {request.limit} events, got {len(changes.events)}"
    if request.after is None:
        if changes.events:
            yield "expected the current index without events"
        return
    last = request.after
    for event in changes.events:
        if event.index <= last:
            yield f"expected indexes in order, after {last}, got {event.index}"
        last = event.index
    if changes.next < last:
        yield f"expected {last} or a later index to continue from, got {changes.next}"


def _metric_faults(metrics: Metrics) -> Iterator[str]:
    if (total := sum(map(len, metrics.families))) > MAX_METRIC_SAMPLES:
        yield f"expected at most {MAX_METRIC_SAMPLES} series, got {total}"
    for family in metrics.families:
        yield from family.faults()


def _clean_family(family: MetricFamily) -> MetricFamily:
    help_ = printable(family.help, MAX_HELP_LENGTH)
    # One check for each column, because nearly all are printable.
    if help_ is family.help and all("".join(column).isprintable() for column in family.columns):
        return family
    columns = tuple(
        [printable(value, MAX_LABEL_LENGTH) for value in column] for column in family.columns
    )
    return replace(family, help=help_, columns=columns)


def _clean_event(event: Event[State, Desired]) -> Event[State, Desired]:
    reason = _clean(event.reason, MAX_REASON_LENGTH)
    message = _clean(event.message, MAX_MESSAGE_LENGTH)
    version = _clean(event.version, MAX_NAME_LENGTH)
    removal = event.removal and _clean_removal(event.removal)
    if (
        reason is event.reason
        and message is event.message
        and version is event.version
        and removal is event.removal
    ):
        return event
    return replace(event, reason=reason, message=message, version=version, removal=removal)


def _page_faults(request: ListWorkloads, page: WorkloadList) -> Iterator[str]:
    if len(page.workloads) > request.limit:
        yield f"expected at most {request.limit} workloads, got {len(page.workloads)}"
    last = request.after
    for status in page.workloads:
        if status.id <= last:
            yield f"expected ids in order, after {last!r}, got {status.id!r}"
        last = status.id
    if page.next is not None and not page.workloads:  # endless pages would keep a reader busy
        yield f"expected at least one workload on a page with next {page.next!r}"
    elif page.next is not None and page.next < last:
        yield f"expected the next page to begin after {last!r}, got {page.next!r}"


def _log_faults(request: ReadLog, log: Log) -> Iterator[str]:
    # With the same cursor, the client would request the same part for ever.
    has_progress = log.data or log.examined
    if has_progress and not log.ended and log.next == request.after:
        yield f"expected another cursor than that of the request, got {log.next!r}"


S = TypeVar("S", Status, Transition[State])


def _clean_status(status: S) -> S:
    if (
        status.__class__ is Status
        and status.reason is None
        and status.message is None
        and status.address is None
        and status.image_digest is None
        and status.removal is None
        and status.isolation is None
    ):
        return status  # the usual case: no text that the agent wrote
    reason = _clean(status.reason, MAX_REASON_LENGTH)
    message = _clean(status.message, MAX_MESSAGE_LENGTH)
    if reason is not status.reason or message is not status.message:
        status = replace(status, reason=reason, message=message)
    if isinstance(status, Status):
        address = _clean(status.address, MAX_ADDRESS_LENGTH)
        digest = _clean(status.image_digest, MAX_DIGEST_LENGTH)
        if address is not status.address or digest is not status.image_digest:
            status = replace(status, address=address, image_digest=digest)
        if status.removal is not None:
            status = replace(status, removal=_clean_removal(status.removal))
        if status.isolation is not None:
            status = replace(status, isolation=_clean_isolation(status.isolation))
    return status


def _clean_removal(removal: Removal) -> Removal:
    return replace(
        removal,
        zone=_clean(removal.zone, MAX_RUNTIME_ID_LENGTH),
        container=_clean(removal.container, MAX_RUNTIME_ID_LENGTH),
        verified_by=_clean(removal.verified_by, MAX_REASON_LENGTH),
    )


def _clean_isolation(isolation: Isolation) -> Isolation:
    return replace(
        isolation,
        handler=_clean(isolation.handler, MAX_NAME_LENGTH),
        kernel=_clean(isolation.kernel, MAX_NAME_LENGTH),
        host_kernel=_clean(isolation.host_kernel, MAX_NAME_LENGTH),
        profile=_clean(isolation.profile, MAX_DIGEST_LENGTH),
    )


def _clean(text: str | None, max_length: int) -> str | None:
    return text and printable(text, max_length)
