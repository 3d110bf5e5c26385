"""One request and its reply over a connection to an agent."""

import time
from typing import TypeVar

from kakuri_json import JSONError, decode, encode
from kakuri_tcp import LineClient, RequestLost, RequestNotSent, RequestTimeout
from kakuri_workload import printable

from kakuri_rpc._errors import AgentError, AgentTimeout, AgentUnreachable, UnexpectedReply
from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import Error, History, Log, Node, Reply, Request, Status, WorkloadList
from kakuri_rpc._replies import cleaned, mismatch

MAX_QUOTED = 500
"""Characters of a wrong reply in an error's text; a log's data could be a hundred times that."""

R = TypeVar("R", Status, WorkloadList, Node, Log, History)


async def ask(lines: LineClient, request: Request, wanted: type[R], timeout: float) -> R:
    """Send a request, once more if its connection breaks, and give the reply.

    Raises AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply.
    """
    line = encode(request)
    deadline = time.monotonic() + timeout
    try:
        try:
            answer = await lines.request(line, timeout=timeout)
        except RequestLost:
            rest = max(0.0, deadline - time.monotonic())
            answer = await lines.request(line, timeout=rest)
    except (RequestNotSent, RequestLost) as error:
        raise AgentUnreachable(str(error)) from error
    except RequestTimeout as error:
        raise AgentTimeout(str(error)) from error
    try:
        reply: Reply = decode(answer, type=Reply)
    except JSONError as error:
        faults = printable(one_line(error), MAX_QUOTED)
        message = f"expected a reply of the agent protocol, got none: {faults}"
        raise UnexpectedReply(message) from error
    if not isinstance(reply, wanted | Error):
        quoted = printable(repr(reply), MAX_QUOTED)
        raise UnexpectedReply(
            f"expected {wanted.__name__} for {type(request).__name__}, got {quoted}"
        )
    if (fault := mismatch(request, reply)) is not None:
        raise UnexpectedReply(printable(fault, MAX_QUOTED))
    if isinstance(reply, Error):
        raise AgentError(cleaned(reply))
    return cleaned(reply)
