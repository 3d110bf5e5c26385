"""Readers of logs, each with its own connection.

An agent answers the requests of a connection in order, so a request that waits for output would
delay all later ones.
"""

import asyncio
from collections import Counter
from typing import Self
from weakref import WeakSet

from kakuri_tcp import LineClient, LineClientLimits
from kakuri_workload import LogSelection

from kakuri_rpc._call import Call, check_seconds
from kakuri_rpc._call_metrics import CallMetrics
from kakuri_rpc._errors import ClientClosed, TooManyLogs
from kakuri_rpc._messages import Log
from kakuri_rpc._requests import ReadLog
from kakuri_rpc._traces import AgentTraces

MAX_OPEN_LOGS = 64
"""Maximum number of logs that one client follows at a time; as many more can be read without
following. Each holds a connection to the agent and a piece of the log."""

LOG_LIMITS = LineClientLimits(line=131_072, idle_timeout=10.0)
"""Limits of a log's connection. A line can hold the longest reply: data in base64, and the other
fields. If a reader is slow, its connection is closed between reads, and the next read reopens
it."""


class AgentLog:
    """Reads a workload's log piece by piece; created by `AgentClient.open_log`.

        async with agent.open_log("web", follow=True) as log:
            while not log.has_ended:
                piece = await log.read(wait_seconds=30)
                sys.stdout.buffer.write(piece.data)

    It keeps its position, so reading can continue after an error. Read one piece at a time, and
    close the log or use it as a context manager.

    Attributes:
        workload_id: The workload.
        reader: The reader of the log; slots are shared fairly among readers.
        has_ended: Whether everything was read and nothing will follow.
        has_gap: Whether bytes were removed before they could be read, so that some pieces read so
            far are not adjacent.
        has_yielded: Whether the log was closed to free its slot for another one.
        quiet_since: When the log was opened or last had data, by the event loop's clock.
    """

    def __init__(
        self,
        lines: LineClient,
        workload_id: str,
        tail: int | None,
        after: str | None,
        *,
        bounded: bool,
        removed: bool,
        records: LogSelection | None,
        reader: str,
        trace: str | None,
        traces: AgentTraces,
        timeout: float,
        metrics: CallMetrics,
        slots: "LogSlots",
    ) -> None:
        self.reader = reader
        self.quiet_since: float = asyncio.get_running_loop().time()
        self.has_yielded: bool = False
        slots.take(self)
        self._slots = slots
        self._bounded = bounded
        self._removed = removed
        self._records = records
        self._trace = trace
        self._traces = traces
        self._closing: asyncio.Task[None] | None = None
        self._lines = lines
        self._tail = tail
        self._after = after
        self._timeout = timeout
        self._metrics = metrics
        self.workload_id = workload_id
        self.has_ended: bool = False
        self.has_gap: bool = False

    async def read(self, *, wait_seconds: float = 0.0) -> Log:
        """Return the next piece, which is empty if no output arrives in time.

        A piece without data whose `examined` is not 0 is progress: the next read continues after
        it.

        Args:
            wait_seconds: Seconds to wait for output, 0 to 30.

        Raises:
            AgentError, AgentUnreachable, AgentTimeout, UnexpectedReply: as for `AgentClient`. The
                position does not change, so the read may be repeated.
            TooManyLogs: The log was closed to free its slot for another one.
            ClientClosed: The log or its client was closed for another reason.
        """
        request = ReadLog(
            self.workload_id,
            self._tail,
            self._after,
            wait_seconds,
            bounded=self._bounded,
            removed=self._removed,
            records=self._records,
            trace=self._trace,
        )
        check_seconds(wait_seconds, "wait_seconds")
        timeout = wait_seconds + self._timeout
        try:
            log = await Call(self._lines, request, Log, timeout, self._metrics, self._traces)
        except ClientClosed:
            if self.has_yielded:
                raise TooManyLogs(MAX_OPEN_LOGS) from None
            raise
        self._tail = None
        self._after = log.next
        if log.data:
            self.quiet_since = asyncio.get_running_loop().time()
        self.has_ended = log.ended
        self.has_gap = self.has_gap or log.gap
        return log

    async def close(self) -> None:
        """Close the connection, so that the agent stops waiting. Closing again has no effect."""
        self._slots.free(self)
        await self._lines.close()

    def make_room(self) -> None:
        """Free the slot and start closing the connection; reads fail from now on."""
        self.has_yielded = True
        self._slots.free(self)
        self._closing = asyncio.get_running_loop().create_task(self._lines.close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AgentLog of {self.workload_id!r} after {self._after!r} over {self._lines!r}>"


class LogSlots:
    """The slots of open logs; a log without references does not count.

    When all slots are taken, a new log gets the slot of another one: among the logs of the reader
    with the most logs, the one that has had no data for the longest time.
    """

    def __init__(self, *, evicts_own: bool) -> None:
        """Create the slots.

        Args:
            evicts_own: Whether a reader that has the most logs itself gets the slot of one of its
                own logs; if not, its new log is refused.
        """
        self._evicts_own = evicts_own
        self._logs: WeakSet[AgentLog] = WeakSet()

    def take(self, log: AgentLog) -> None:
        """Add a log, and close another one if all slots are taken.

        Raises:
            TooManyLogs: No slot can be freed.
        """
        logs = list(self._logs)
        if len(logs) >= MAX_OPEN_LOGS:
            held = Counter(each.reader for each in (*logs, log))
            most = max(held.values())
            if held[log.reader] == most and not self._evicts_own:
                raise TooManyLogs(MAX_OPEN_LOGS)
            candidates = [each for each in logs if held[each.reader] == most]
            min(candidates, key=lambda each: each.quiet_since).make_room()
        self._logs.add(log)

    def free(self, log: AgentLog) -> None:
        """Remove a log."""
        self._logs.discard(log)

    def taken(self) -> list[AgentLog]:
        """Return the open logs."""
        return list(self._logs)

    def __len__(self) -> int:
        return len(self._logs)
