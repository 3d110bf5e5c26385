"""The control plane's end of the conversation."""

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
from kakuri_rpc._messages import (
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

MAX_LISTED = 100
"""Workloads in one page, unless asked otherwise."""

R = TypeVar("R", Status, WorkloadList, Node)


class AgentClient:
    """Asks one agent, over one connection, many requests at a time.

    Every method may raise AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply. All
    requests of the protocol may be repeated without harm, so one whose connection broke before
    the answer came is repeated once.
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
        self, *, state: State | None = None, after: str = "", limit: int = MAX_LISTED
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
        try:
            try:
                answer = await self._lines.request(line, timeout=self._timeout)
            except RequestLost:
                answer = await self._lines.request(line, timeout=self._timeout)
        except (RequestNotSent, RequestLost) as error:
            raise AgentUnreachable(str(error)) from error
        except RequestTimeout as error:
            raise AgentTimeout(str(error)) from error
        except LineTooLong as error:
            raise UnexpectedReply(str(error)) from error
        try:
            reply: Reply = decode(answer, type=Reply)
        except JSONError as error:
            raise UnexpectedReply(f"expected a reply of the agent protocol: {error}") from error
        if isinstance(reply, wanted):
            return reply
        if isinstance(reply, Error):
            raise AgentError(reply)
        message = f"expected {wanted.__name__} for {request!r}, got {reply!r}"
        raise UnexpectedReply(message)
