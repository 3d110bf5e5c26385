"""Logs, from the agent to whoever reads them, piece by piece.

A piece is asked for when the one before has left, so a slow reader costs two pieces of memory and
the buffer of its connection, however long the log is.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from weakref import WeakSet

import structlog
from kakuri_http import ClientDisconnected
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

from kakuri_control_plane._queries import LogQuery

_log = structlog.get_logger()

WAIT_SECONDS = 30.0
"""How long the agent may wait for something to be written, before it is asked again."""

PAUSE = 0.25
"""Seconds between two questions when there was no data: an agent that never waits is not to keep
both of us busy."""

SHORT_PIECE = MAX_LOG_DATA // 2
"""Bytes below which a piece had room for more: pieces end where a record of the runtime's log
does, and such a record has at most 16 KiB."""

MAX_SHORT_PIECES = 256
"""Pieces with room for more, after which a log that is not followed is at its end, should an agent
never say so. Above the pieces that an agent's files and restarts make."""

RETURN_SECONDS = 20.0
"""How long a log that is followed waits for an agent, or the runtime behind it, to come back."""


def reader_of(peer: object) -> str:
    """Return what identifies a client over all its connections: its address, or its user.

    Every process of this machine has all loopback addresses, so these are one.
    """
    where = str(peer)
    if where.startswith("unix"):
        return where.rpartition(",")[2] or where
    host = where.rpartition(":")[0].strip("[]")
    return "loopback" if host.startswith("127.") or host == "::1" else host


class Logs:
    """Opens the logs of an agent's workloads, and knows which are followed."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        # An answer that never leaves, as its client has gone, is not closed but forgotten.
        self._followed: WeakSet[AgentLog] = WeakSet()
        self._is_ending = False

    async def open(
        self, workload_id: str, query: LogQuery, reader: str = ""
    ) -> tuple[AgentLog, AsyncGenerator[bytes, None]]:
        """Open a log, and wait for its first piece.

        Args:
            workload_id: the workload whose log it is.
            query: which part of the log, and whether to follow it.
            reader: the client's address, without its port: slots are shared among addresses.

        Returns:
            The log, whose `has_gap` is final once all pieces were read, and its pieces. Iterating
            over them raises RPCError for an error after the first piece.

        Raises:
            RPCError: the first piece could not be read.
        """
        log = self._agent.open_log(
            workload_id,
            tail=query.tail,
            bounded=not query.follow,
            follow=query.follow,
            reader=reader,
        )
        try:
            first = await log.read()
        except BaseException:
            await log.close()
            raise
        if not query.follow:
            return log, _present(log, first)
        self._followed.add(log)
        if self._is_ending:
            await log.close()
        return log, self._follow(log, first)

    async def _follow(self, log: AgentLog, piece: Log) -> AsyncGenerator[bytes, None]:
        """Give what there is and what is to come, until the workload has ended."""
        earliest = 0.0  # when it may be asked again
        async with log:
            while True:
                if piece.data:
                    yield piece.data
                if log.has_ended:
                    return
                if not piece.data:
                    await asyncio.sleep(earliest - time.monotonic())
                earliest = time.monotonic() + PAUSE
                piece = await self._read_on(log)

    async def _read_on(self, log: AgentLog) -> Log:
        """Read on, after a restart of the agent or of the runtime as well: nothing is skipped."""
        deadline = time.monotonic() + RETURN_SECONDS
        while True:
            try:
                return await log.read(wait_seconds=WAIT_SECONDS)
            except RPCError as error:
                if self._is_ending or log.has_yielded:
                    # This process closed the connection, so there is no fault to report.
                    why = "the control plane stops" if self._is_ending else "all slots are taken"
                    _log.info("log no longer followed", id=log.workload_id, why=why)
                    raise ClientDisconnected(f"the log is no longer followed: {why}") from None
                if time.monotonic() >= deadline or not _passes(error):
                    raise
            await asyncio.sleep(PAUSE)

    async def check(self, workload_id: str) -> None:
        """Ask for nothing of a log but whether it can be read. Raises RPCError."""
        await self._agent.read_log(workload_id, tail=0)

    async def end_followed(self) -> None:
        """Cut off whoever follows a log, now or later: nobody knows when a log would end."""
        self._is_ending = True
        for log in list(self._followed):
            await log.close()


async def _present(log: AgentLog, piece: Log) -> AsyncGenerator[bytes, None]:
    """Yield what there was when the first piece was read, however fast the log grows."""
    short_pieces = 0
    async with log:
        while piece.data:
            yield piece.data
            short_pieces += len(piece.data) < SHORT_PIECE
            if log.has_ended or short_pieces == MAX_SHORT_PIECES:
                return
            piece = await log.read()


def _passes(error: RPCError) -> bool:
    """Tell whether an error may be over soon: somebody who is away, and not an answer."""
    if isinstance(error, AgentError):
        return error.code in (ErrorCode.RUNTIME, ErrorCode.RUNTIME_UNAVAILABLE)
    return isinstance(error, AgentUnreachable)
