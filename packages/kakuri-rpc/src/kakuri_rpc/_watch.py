"""Waiting for events, over a connection of its own.

An agent answers the requests of a connection in their order, so a request that waits for events
would delay all later ones.
"""

from typing import Self

from kakuri_tcp import LineClient

from kakuri_rpc._call import Call
from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._events import MAX_EVENTS, Changes, WatchChanges


class AgentWatch:
    """Reads the events of a node as they happen; made by `AgentClient.open_watch`.

        async with agent.open_watch() as watch:
            index = (await watch.read()).next
            while True:
                changes = await watch.read(index, wait_seconds=30)
                index = changes.next

    Read once at a time, and close the watch or leave its context.
    """

    def __init__(self, lines: LineClient, *, timeout: float, metrics: CallMetrics) -> None:
        self._lines = lines
        self._timeout = timeout
        self._metrics = metrics

    async def read(
        self, after: int | None = None, *, wait_seconds: float = 0.0, limit: int = MAX_EVENTS
    ) -> Changes:
        """Return the events after an index; none if there are none within the wait.

        Args:
            after: The index, `next` of an earlier reply; None for the current index without events.
            wait_seconds: How long to wait for events, 0 to 30; the client's timeout comes on top.
            limit: Events to return at most; there may be more.

        Raises:
            AgentError, AgentUnreachable, AgentTimeout, UnexpectedReply: as for `AgentClient`.
                The code of an AgentError is `compacted` if some of the events are no longer kept,
                or if the agent has not reached the index; list the workloads then.
            ClientClosed: The watch or its client was closed.
        """
        request = WatchChanges(after, wait_seconds, limit)
        timeout = wait_seconds + self._timeout
        return await Call(self._lines, request, Changes, timeout, self._metrics)

    async def close(self) -> None:
        """Close the connection, so that the agent stops waiting. May be called again."""
        await self._lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AgentWatch over {self._lines!r}>"
