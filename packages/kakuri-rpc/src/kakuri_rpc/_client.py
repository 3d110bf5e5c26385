"""The control plane's end of the conversation."""

import time
from typing import TypeVar

from kakuri_json import JSONError, decode, encode
from kakuri_registry import Workload
from kakuri_tcp import (
    Endpoint,
    LineClient,
    LineTooLong,
    RequestLost,
    RequestNotSent,
    RequestTimeout,
)

from kakuri_rpc._errors import AgentError, AgentTimeout, AgentUnreachable, UnexpectedReply
from kakuri_rpc._faults import one_line
from kakuri_rpc._messages import (
    MAX_PAGE,
    DescribeNode,
    Error,
    GetStatus,
    ListWorkloads,
    Node,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    WorkloadList,
)

DEFAULT_TIMEOUT = 5.0
"""Seconds for an answer: an agent answers from memory, so this is a stuck agent."""

R = TypeVar("R", Status, WorkloadList, Node)


class AgentClient:
    """Asks one agent, over one connection, many requests at a time.

    Every method may raise AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply. A
    request whose connection broke before the answer came is repeated once, which the protocol
    allows: what the agent had done already it does not do again. The answer is then that to the
    second request, so a workload may be `existing`, or not found although it was removed just now.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._lines = LineClient(endpoint)
        self._timeout = timeout

    async def start_workload(self, workload: Workload) -> Status:
        """Have a workload run; its present status if it is known already."""
        return await self._ask(StartWorkload(workload), Status)

    async def get_status(self, workload_id: str) -> Status:
        """Give the status of a workload."""
        return await self._ask(GetStatus(workload_id), Status)

    async def stop_workload(self, workload_id: str, *, grace_seconds: int = 10) -> Status:
        """Have a workload end; it may take the grace time to do so by itself."""
        return await self._ask(StopWorkload(workload_id, grace_seconds), Status)

    async def remove_workload(self, workload_id: str) -> Status:
        """Have a workload end and be forgotten."""
        return await self._ask(RemoveWorkload(workload_id), Status)

    async def list_workloads(
        self, *, state: State | None = None, after: str = "", limit: int = MAX_PAGE
    ) -> WorkloadList:
        """Give a page of statuses in the order of their ids, behind the id `after`."""
        return await self._ask(ListWorkloads(state, after, limit), WorkloadList)

    async def describe_node(self) -> Node:
        """Give what the agent says of its node."""
        return await self._ask(DescribeNode(), Node)

    async def close(self) -> None:
        """Close the connection; requests without an answer fail."""
        await self._lines.close()

    def __repr__(self) -> str:
        return f"<AgentClient over {self._lines!r}>"

    async def _ask(self, request: Request, wanted: type[R]) -> R:
        line = encode(request)
        deadline = time.monotonic() + self._timeout
        try:
            try:
                answer = await self._lines.request(line, timeout=self._timeout)
            except RequestLost:
                rest = max(0.0, deadline - time.monotonic())
                answer = await self._lines.request(line, timeout=rest)
        except (RequestNotSent, RequestLost) as error:
            raise AgentUnreachable(str(error)) from error
        except RequestTimeout as error:
            raise AgentTimeout(str(error)) from error
        except LineTooLong as error:
            raise UnexpectedReply(str(error)) from error
        try:
            reply: Reply = decode(answer, type=Reply)
        except JSONError as error:
            message = f"expected a reply of the agent protocol, got none: {one_line(error)}"
            raise UnexpectedReply(message) from error
        if isinstance(reply, wanted):
            return reply
        if isinstance(reply, Error):
            raise AgentError(reply)
        message = f"expected {wanted.__name__} for {request!r}, got {reply!r}"
        raise UnexpectedReply(message)
