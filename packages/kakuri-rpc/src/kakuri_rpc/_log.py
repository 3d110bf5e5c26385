"""Reading logs: each over a connection of its own.

An agent answers the requests of a connection in their order, so one that waits for something to
be written would hold up all behind it.
"""

import asyncio
from collections import Counter
from typing import Self
from weakref import WeakSet

from kakuri_tcp import Endpoint, LineClient, LineClientLimits

from kakuri_rpc._errors import TooManyLogs
from kakuri_rpc._exchange import ask
from kakuri_rpc._messages import Log, ReadLog

MAX_OPEN_LOGS = 64
"""Logs that one client follows at a time, and as many that it reads without following: each holds
a connection of the agent's, and a piece."""

LOG_LIMITS = LineClientLimits(line=131_072, idle_timeout=10.0)
"""Of a log's connection. A line holds the longest reply: its data in base64, and some more. The
connection of a slow reader is closed in between; the next reading opens it again."""


class AgentLog:
    """Reads one workload's log piece by piece; `AgentClient.open_log` makes it.

    It remembers how far it has come, so after an error it may be read on. One reading at a time;
    to be closed, or used as an async context manager.

    Attributes:
        workload_id: whose log it is.
        reader: the client that reads it; slots are shared fairly among readers.
        has_ended: whether everything has been read and nothing will follow.
        has_gap: whether bytes were removed before they could be read, so that some of the pieces
            read so far don't follow on each other.
        has_yielded: whether it was closed to make room for another log.
        quiet_since: when it was opened or last had data, by the event loop's clock.

    """

    def __init__(
        self,
        endpoint: Endpoint,
        workload_id: str,
        tail: int | None,
        after: str | None,
        *,
        bounded: bool,
        reader: str,
        timeout: float,
        slots: "LogSlots",
    ) -> None:
        self.reader = reader
        self.quiet_since: float = asyncio.get_running_loop().time()
        self.has_yielded: bool = False
        slots.take(self)
        self._slots = slots
        self._bounded = bounded
        self._closing: asyncio.Task[None] | None = None
        self._lines = LineClient(endpoint, limits=LOG_LIMITS)
        self._tail = tail
        self._after = after
        self._timeout = timeout
        self.workload_id = workload_id
        self.has_ended: bool = False
        self.has_gap: bool = False

    async def read(self, *, wait_seconds: float = 0.0) -> Log:
        """Give the next piece; it has no data if none comes within wait_seconds, 0 to 30.

        Raises AgentError, AgentUnreachable, AgentTimeout and UnexpectedReply.
        """
        request = ReadLog(
            self.workload_id, self._tail, self._after, wait_seconds, bounded=self._bounded
        )
        log = await ask(self._lines, request, Log, wait_seconds + self._timeout)
        self._tail = None
        self._after = log.next
        if log.data:
            self.quiet_since = asyncio.get_running_loop().time()
        self.has_ended = log.ended
        self.has_gap = self.has_gap or log.gap
        return log

    async def close(self) -> None:
        """Close the connection: the agent stops waiting. May be called again."""
        self._slots.free(self)
        await self._lines.close()

    def make_room(self) -> None:
        """Release the slot and close the connection soon: reading it fails from then on."""
        self.has_yielded = True
        self._slots.free(self)
        self._closing = asyncio.get_running_loop().create_task(self._lines.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AgentLog of {self.workload_id!r} behind {self._after!r} over {self._lines!r}>"


class LogSlots:
    """The open logs; one that is no longer referenced does not count.

    When all slots are taken, a new log may have one of the reader that has the most: that of the
    log which has had no data for longest. With `yields`, that may be the same reader; without, a
    reader with as many logs as any other is refused.
    """

    def __init__(self, *, yields: bool) -> None:
        self._yields = yields
        self._logs: WeakSet[AgentLog] = WeakSet()

    def take(self, log: AgentLog) -> None:
        """Add a log, and close another one to make room if necessary. Raises TooManyLogs."""
        logs = list(self._logs)
        if len(logs) >= MAX_OPEN_LOGS:
            held = Counter(each.reader for each in (*logs, log))
            most = max(held.values())
            if held[log.reader] == most and not self._yields:
                raise TooManyLogs(MAX_OPEN_LOGS)
            crowd = [each for each in logs if held[each.reader] == most]
            if not crowd:
                raise TooManyLogs(MAX_OPEN_LOGS)
            min(crowd, key=lambda each: each.quiet_since).make_room()
        self._logs.add(log)

    def free(self, log: AgentLog) -> None:
        """Remove a log."""
        self._logs.discard(log)

    def taken(self) -> list[AgentLog]:
        """Return the open logs."""
        return list(self._logs)

    def __len__(self) -> int:
        return len(self._logs)
