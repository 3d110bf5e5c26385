"""One request and its reply over a connection to an agent."""

import time
from typing import TypeVar

from kakuri_json import JSONError, decode, encode
from kakuri_tcp import LineClient, RequestLost, RequestNotSent, RequestTimeout

from kakuri_rpc._errors import AgentError, AgentTimeout, AgentUnreachable, UnexpectedReply
from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import Error, History, Log, Node, Reply, Request, Status, WorkloadList
from kakuri_rpc._words import cut

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
        message = f"expected a reply of the agent protocol, got none: {one_line(error)}"
        raise UnexpectedReply(message) from error
    if isinstance(reply, wanted):
        return reply
    if isinstance(reply, Error):
        raise AgentError(reply)
    message = f"expected {wanted.__name__} for {request!r}, got {cut(repr(reply), MAX_QUOTED)}"
    raise UnexpectedReply(message)
