"""Logs, passed on from the agent to clients piece by piece.

A piece is requested when the one before was sent, so a slow client takes the memory of two pieces
and of its connection's buffer, regardless of the log's length.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from weakref import WeakSet

import structlog
from kakuri_daemon import current_trace
from kakuri_http import ResponseAborted
from kakuri_rpc import (
    MAX_LOG_DATA,
    AgentClient,
    AgentError,
    AgentLog,
    AgentUnreachable,
    ErrorCode,
    Log,
    RPCError,
)
from kakuri_workload import LogSelection

from kakuri_control_plane._log_queries import LogQuery

_log = structlog.get_logger()

WAIT_SECONDS = 30.0
"""Seconds that the agent may wait for output before the next request."""

PAUSE_SECONDS = 0.25
"""Seconds between two requests without data, so that an agent that never waits keeps neither
process busy."""

SHORT_PIECE = MAX_LOG_DATA // 2
"""Bytes below which a piece is short. A piece in the middle of a log is longer, unless the agent
ended it early because its lines are short; `examined` is then above 0."""

FAR_FROM_END = 65_536
"""If a piece without data examined at least this many bytes, the next request is sent immediately;
fewer bytes mean that the end of the log was reached."""

MAX_SHORT_PIECES = 256
"""Short pieces after which a log that is not followed ends, even if the agent reports no end. An
agent's files and restarts cause fewer."""

RETURN_SECONDS = 20.0
"""Seconds that a followed log waits for an agent or its runtime to be reachable again, from the
first request that failed."""


class Logs:
    """The logs of an agent's workloads; records which ones are followed."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        # Weak, because a response whose client disconnected before it began is never closed.
        self._followed: WeakSet[AgentLog] = WeakSet()
        self._is_ending = False

    async def open(
        self,
        workload_id: str,
        query: LogQuery,
        records: LogSelection | None = None,
        reader: str = "",
    ) -> tuple[AgentLog, AsyncGenerator[bytes, None]]:
        """Open a log and read its first piece.

        Args:
            workload_id: The workload whose log it is.
            query: Which part of the log to read, and whether to follow it.
            records: Which records to read; None for the bytes that the container wrote.
            reader: The user, as `user_of` returns it; slots are shared among users.

        Returns:
            The log, whose `has_gap` is final when all pieces were read, and its pieces. An error
            after the first piece is raised as RPCError while they are iterated.

        Raises:
            RPCError: The first piece could not be read.
        """
        log = self._agent.open_log(
            workload_id,
            tail=query.tail,
            bounded=not query.follow,
            follow=query.follow,
            removed=query.removed,
            records=records,
            reader=reader,
            trace=current_trace(),
        )
        try:
            first = await log.read()
        except BaseException:
            await log.close()
            raise
        if not query.follow:
            return log, _current(log, first)
        self._followed.add(log)
        if self._is_ending:
            await log.close()
        return log, self._follow(log, first)

    async def _follow(self, log: AgentLog, piece: Log) -> AsyncGenerator[bytes, None]:
        """Yield the log, and new output until the workload has ended or is removed."""
        earliest = 0.0  # time of the next request
        async with log:
            while True:
                if piece.data:
                    yield piece.data
                if log.has_ended:
                    return
                if not piece.data and piece.examined < FAR_FROM_END:
                    await asyncio.sleep(earliest - time.monotonic())
                earliest = time.monotonic() + PAUSE_SECONDS
                is_behind = len(piece.data) >= SHORT_PIECE or piece.examined >= FAR_FROM_END
                try:
                    piece = await self._read_next(log)
                except AgentError as error:
                    if error.code is not ErrorCode.NOT_FOUND:
                        raise
                    log.has_gap = log.has_gap or is_behind  # removed before it was read
                    return

    async def _read_next(self, log: AgentLog) -> Log:
        """Read the next piece, if necessary after a restart of the agent or the runtime."""
        deadline: float | None = None
        while True:
            try:
                return await log.read(wait_seconds=WAIT_SECONDS)
            except RPCError as error:
                if self._is_ending or log.has_yielded:
                    # This process closed the connection, so the error is not a fault.
                    reason = "the control plane stops" if self._is_ending else "all slots are taken"
                    _log.info("log no longer followed", id=log.workload_id, reason=reason)
                    raise ResponseAborted(f"the log is no longer followed: {reason}") from None
                if not _is_temporary(error):
                    raise
                deadline = deadline or time.monotonic() + RETURN_SECONDS
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(PAUSE_SECONDS)

    async def check(
        self, workload_id: str, records: LogSelection | None, reader: str, *, removed: bool
    ) -> None:
        """Check that a log can be read; the arguments are as in `open`. Raises RPCError."""
        async with self._agent.open_log(
            workload_id,
            tail=0,
            removed=removed,
            records=records,
            reader=reader,
            trace=current_trace(),
        ) as log:
            await log.read()

    async def end_followed(self) -> None:
        """Close all followed logs, now and from now on, because they may never end."""
        self._is_ending = True
        for log in list(self._followed):
            await log.close()


async def _current(log: AgentLog, piece: Log) -> AsyncGenerator[bytes, None]:
    """Yield the log as it was at the first read, even if it grows faster than it is read."""
    short_pieces = 0
    async with log:
        while piece.data or piece.examined:
            if piece.data:
                yield piece.data
            short_pieces += len(piece.data) < SHORT_PIECE and not piece.examined
            if log.has_ended or short_pieces == MAX_SHORT_PIECES:
                return
            piece = await log.read()


def _is_temporary(error: RPCError) -> bool:
    """Return whether an error is temporary: the agent or its runtime is unreachable."""
    if isinstance(error, AgentError):
        return error.code in (ErrorCode.RUNTIME, ErrorCode.RUNTIME_UNAVAILABLE)
    return isinstance(error, AgentUnreachable)
