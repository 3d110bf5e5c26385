"""A reader that waits for events, with its own connection.

An agent answers the requests of a connection in order, so a request that waits for events would
delay all later ones.
"""

from typing import Self

from kakuri_tcp import LineClient

from kakuri_rpc._call import Call, check_seconds
from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._events import MAX_EVENTS, Changes, WatchChanges


class AgentWatch:
    """Reads the events of a node as they happen; created by `AgentClient.open_watch`.

        async with agent.open_watch() as watch:
            index = (await watch.read()).next
            while True:
                changes = await watch.read(index, wait_seconds=30)
                index = changes.next

    Do not call `read` concurrently. Close the watch, or use it as a context manager.
    """

    def __init__(self, lines: LineClient, *, timeout: float, metrics: CallMetrics) -> None:
        self._lines = lines
        self._timeout = timeout
        self._metrics = metrics

    async def read(
        self, after: int | None = None, *, wait_seconds: float = 0.0, limit: int = MAX_EVENTS
    ) -> Changes:
        """Return the events after an index; empty if no event occurs in time.

        Args:
            after: The index: `next` of an earlier reply. None to get only the current index.
            wait_seconds: Seconds to wait for events, 0 to 30, in addition to the client's timeout.
            limit: Maximum number of events to return; there may be more.

        Raises:
            AgentError, AgentUnreachable, AgentTimeout, UnexpectedReply: as for `AgentClient`. An
                AgentError has the code `compacted` if some of the events are no longer kept, or if
                the index is in the future; list the workloads again.
            ClientClosed: The watch or its client was closed.
        """
        request = WatchChanges(after, wait_seconds, limit)
        check_seconds(wait_seconds, "wait_seconds")
        timeout = wait_seconds + self._timeout
        return await Call(self._lines, request, Changes, timeout, self._metrics)

    async def close(self) -> None:
        """Close the connection, so that the agent stops waiting. Closing again has no effect."""
        await self._lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AgentWatch over {self._lines!r}>"
