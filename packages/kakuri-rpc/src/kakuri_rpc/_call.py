"""One request and its reply over a connection to an agent."""

import time
from typing import TypeVar

from kakuri_json import JSONError, decode, encode
from kakuri_tcp import ClientClosed as LineClientClosed
from kakuri_tcp import LineClient, RequestLost, RequestNotSent, RequestTimeout
from kakuri_workload import printable

from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._errors import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    ClientClosed,
    UnexpectedReply,
    one_line,
)
from kakuri_rpc._events import Changes
from kakuri_rpc._fields import TRACE
from kakuri_rpc._messages import ErrorReply, History, Log, Node, Reply, Status, WorkloadList
from kakuri_rpc._metrics import Metrics
from kakuri_rpc._reply_checks import cleaned, mismatch
from kakuri_rpc._requests import DescribeNode, Request, RerunWorkload, RestartWorkload
from kakuri_rpc._traces import AgentTraces, may_be_refused_trace, without_trace

MAX_QUOTED = 500
"""Characters of a wrong reply in an error's text; the data of a log can be a hundred times that."""

NOT_REPEATED = (RerunWorkload, RestartWorkload)
"""Requests that are sent once: the run that the first one began may have ended by the second."""

R = TypeVar("R", Status, WorkloadList, Node, Log, History, Changes, Metrics)


async def call(
    lines: LineClient,
    request: Request,
    reply_type: type[R],
    timeout: float,
    metrics: CallMetrics,
    traces: AgentTraces | None = None,
) -> R:
    """Send a request and return its reply.

    If the connection breaks before the reply, the request is sent once more, unless that could do
    something twice.

    Args:
        lines: The connection to the agent.
        request: The request.
        reply_type: The class of its reply.
        timeout: Seconds for everything.
        metrics: Counts the request.
        traces: Whether the agent accepts a trace, for requests that may have one.

    Raises:
        AgentError: The agent answered with an error.
        AgentUnreachable: The request was not sent, or was sent as often as it may be without a
            reply.
        AgentTimeout: No reply in time.
        UnexpectedReply: The reply does not match the request.
        ClientClosed: The caller closed the client.
    """
    if traces is not None:
        request = traces.prepared(request)
    kind = type(request)
    metrics.in_flight += 1
    began = time.monotonic()
    try:
        answer = await _send(lines, request, timeout, metrics)
        try:
            reply = _checked(answer, request, reply_type)
        except AgentError as error:
            if traces is None or not may_be_refused_trace(request, error):
                raise
            deadline = began + timeout
            if await _supports_traces(lines, _remaining(deadline), metrics):
                raise
            traces.set_unsupported()
            request = without_trace(request)
            answer = await _send(lines, request, _remaining(deadline), metrics)
            reply = _checked(answer, request, reply_type)
    except BaseException as error:
        metrics.fail(kind, time.monotonic() - began, error)
        raise
    metrics.succeed(kind, time.monotonic() - began)
    return reply


async def _send(lines: LineClient, request: Request, timeout: float, metrics: CallMetrics) -> bytes:
    line = encode(request)
    deadline = time.monotonic() + timeout
    try:
        try:
            return await lines.request(line, timeout=timeout)
        except RequestLost:
            if isinstance(request, NOT_REPEATED):
                raise
            metrics.retry(request)
            return await lines.request(line, timeout=_remaining(deadline))
    except LineClientClosed as error:
        raise ClientClosed(str(error)) from error
    except (RequestNotSent, RequestLost) as error:
        raise AgentUnreachable(str(error)) from error
    except RequestTimeout as error:
        raise AgentTimeout(str(error)) from error


def _remaining(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


async def _supports_traces(lines: LineClient, timeout: float, metrics: CallMetrics) -> bool:
    """Ask the agent for its features; one that can't describe its node has none."""
    request = DescribeNode()
    answer = await _send(lines, request, timeout, metrics)
    try:
        return TRACE in _checked(answer, request, Node).features
    except AgentError:
        return False


def _checked(answer: bytes, request: Request, reply_type: type[R]) -> R:
    """Return a reply that was decoded and compared with its request."""
    try:
        reply: Reply = decode(answer, type=Reply)
    except JSONError as error:
        faults = printable(one_line(error), MAX_QUOTED)
        raise UnexpectedReply(f"the reply is not valid in the agent protocol: {faults}") from error
    if not isinstance(reply, (reply_type, ErrorReply)):
        quoted = printable(repr(reply), MAX_QUOTED)
        raise UnexpectedReply(
            f"expected {reply_type.__name__} for {type(request).__name__}, got {quoted}"
        )
    if (fault := mismatch(request, reply)) is not None:
        raise UnexpectedReply(printable(fault, MAX_QUOTED))
    if isinstance(reply, ErrorReply):
        raise AgentError(cleaned(reply))
    return cleaned(reply)
