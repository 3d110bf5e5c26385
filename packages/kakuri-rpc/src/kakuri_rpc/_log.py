"""Reading logs: each over a connection of its own.

An agent answers the requests of a connection in their order, so one that waits for something to
be written would hold up all behind it.
"""

from typing import Self
from weakref import WeakSet

from kakuri_tcp import Endpoint, LineClient, LineClientLimits

from kakuri_rpc._errors import TooManyLogs
from kakuri_rpc._exchange import ask
from kakuri_rpc._messages import Log, ReadLog

MAX_OPEN_LOGS = 64
"""Logs that one client reads at a time: each holds a connection of the agent's, and a piece."""

LOG_LIMITS = LineClientLimits(line=131_072, idle_timeout=10.0)
"""Of a log's connection. A line holds the longest reply: its data in base64, and some more. The
connection of a slow reader is closed in between; the next reading opens it again."""


class AgentLog:
    """Reads one workload's log piece by piece; `AgentClient.open_log` makes it.

    It remembers how far it has come, so after an error it may be read on. One reading at a time;
    to be closed, or used as an async context manager.

    Attributes:
        workload_id: whose log it is.
        has_ended: whether everything has been read and nothing will follow.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        workload_id: str,
        tail: int | None,
        after: str | None,
        *,
        timeout: float,
        slots: "LogSlots",
    ) -> None:
        slots.take(self)
        self._slots = slots
        self._lines = LineClient(endpoint, limits=LOG_LIMITS)
        self._tail = tail
        self._after = after
        self._timeout = timeout
        self.workload_id = workload_id
        self.has_ended = False

    async def read(self, *, wait_seconds: float = 0.0) -> Log:
        """Give the next piece; it has no data if none comes within wait_seconds, 0 to 30.

        Raises AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply.
        """
        request = ReadLog(self.workload_id, self._tail, self._after, wait_seconds)
        log = await ask(self._lines, request, Log, wait_seconds + self._timeout)
        self._tail = None
        self._after = log.next
        self.has_ended = log.ended
        return log

    async def close(self) -> None:
        """Close the connection: the agent stops waiting. May be called again."""
        self._slots.free(self)
        await self._lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AgentLog of {self.workload_id!r} behind {self._after!r} over {self._lines!r}>"


class LogSlots:
    """Counts the logs that are open; one that nobody can read any more counts no longer."""

    def __init__(self) -> None:
        self._logs: WeakSet[AgentLog] = WeakSet()

    def take(self, log: AgentLog) -> None:
        """Count one more. Raises TooManyLogs at the limit."""
        if len(self._logs) >= MAX_OPEN_LOGS:
            raise TooManyLogs(MAX_OPEN_LOGS)
        self._logs.add(log)

    def free(self, log: AgentLog) -> None:
        """Count it no longer."""
        self._logs.discard(log)

    def taken(self) -> list[AgentLog]:
        """Give those that are open."""
        return list(self._logs)

    def __len__(self) -> int:
        return len(self._logs)
