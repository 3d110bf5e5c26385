"""The control plane's end of the conversation."""

from kakuri_tcp import Endpoint, LineClient
from kakuri_workload import Workload

from kakuri_rpc._exchange import ask
from kakuri_rpc._log import AgentLog, LogSlots
from kakuri_rpc._messages import (
    DescribeNode,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    Node,
    RemoveWorkload,
    StartWorkload,
    Status,
    StopWorkload,
    WorkloadList,
)
from kakuri_rpc._words import MAX_PAGE, State

DEFAULT_TIMEOUT = 5.0
"""Seconds for an answer: an agent answers from memory, so this is a stuck agent."""


class AgentClient:
    """Asks one agent, over one connection, many requests at a time; logs have their own.

    Every method may raise AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply. A
    request whose connection broke before the answer came is repeated once, which the protocol
    allows: what the agent had done already it does not do again. The answer is then that to the
    second request, so a workload may be `existing`, or not found although it was removed just now.
    """

    def __init__(self, endpoint: Endpoint, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._endpoint = endpoint
        self._lines = LineClient(endpoint)
        self._timeout = timeout
        self._logs = LogSlots(yields=False)
        self._followed = LogSlots(yields=True)

    async def start_workload(self, workload: Workload) -> Status:
        """Have a workload run; its present status if it is known already."""
        return await ask(self._lines, StartWorkload(workload), Status, self._timeout)

    async def get_status(self, workload_id: str) -> Status:
        """Give the status of a workload."""
        return await ask(self._lines, GetStatus(workload_id), Status, self._timeout)

    async def get_history(self, workload_id: str) -> History:
        """Give what has happened to a workload."""
        return await ask(self._lines, GetHistory(workload_id), History, self._timeout)

    async def stop_workload(self, workload_id: str, *, grace_seconds: int = 10) -> Status:
        """Have a workload end; it may take the grace time to do so by itself."""
        request = StopWorkload(workload_id, grace_seconds)
        return await ask(self._lines, request, Status, self._timeout)

    async def remove_workload(self, workload_id: str) -> Status:
        """Have a workload end and be forgotten."""
        return await ask(self._lines, RemoveWorkload(workload_id), Status, self._timeout)

    async def list_workloads(
        self,
        *,
        state: State | None = None,
        after: str = "",
        limit: int = MAX_PAGE,
        label: str | None = None,
    ) -> WorkloadList:
        """Give a page of statuses in the order of their ids, behind the id `after`.

        state and label (key=value) leave out all others.
        """
        request = ListWorkloads(state, after, limit, label)
        return await ask(self._lines, request, WorkloadList, self._timeout)

    async def describe_node(self) -> Node:
        """Give what the agent says of its node."""
        return await ask(self._lines, DescribeNode(), Node, self._timeout)

    def open_log(
        self,
        workload_id: str,
        *,
        tail: int | None = None,
        after: str | None = None,
        bounded: bool = False,
        follow: bool = False,
        reader: str = "",
    ) -> AgentLog:
        """Return a reader of a workload's log, to be closed by the caller.

        At most MAX_OPEN_LOGS are followed at a time, and as many are read without following. When
        all of these are taken, one that has had no data for longest makes room: of the reader
        that follows the most, or of another reader that reads more.

        Args:
            workload_id: whose log to read.
            tail: begin with so many of the last lines; all of them unless told.
            after: begin after this cursor; `tail` means nothing then.
            bounded: read no further than the end that the log has at the first reading.
            follow: whether what is yet to be written will be waited for.
            reader: for whom the log is read, such as a client's address.

        Raises:
            TooManyLogs: no other log makes room.

        """
        return AgentLog(
            self._endpoint,
            workload_id,
            tail,
            after,
            bounded=bounded,
            reader=reader,
            timeout=self._timeout,
            slots=self._followed if follow else self._logs,
        )

    async def read_log(
        self,
        workload_id: str,
        *,
        tail: int | None = None,
        after: str | None = None,
        wait_seconds: float = 0.0,
    ) -> Log:
        """Give one piece of a workload's log; for more than one, `open_log` costs less.

        It waits for something to be written for as long as wait_seconds, 0 to 30, and takes that
        and the client's timeout at most. Raises TooManyLogs as well.
        """
        async with self.open_log(workload_id, tail=tail, after=after) as log:
            return await log.read(wait_seconds=wait_seconds)

    async def close(self) -> None:
        """Close all connections; requests without an answer fail."""
        await self._lines.close()
        for log in (*self._logs.taken(), *self._followed.taken()):
            await log.close()

    def __repr__(self) -> str:
        return f"<AgentClient over {self._lines!r}, {len(self._logs) + len(self._followed)} logs>"
