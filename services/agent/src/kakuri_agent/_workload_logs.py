"""Reading the logs of workloads, across restarts and before the first start.

A log can't grow before the zone has started, or between two runs. A request that waits for it then
waits for a change of the workload. The runtime is asked once for each change, however many
requests wait.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

from kakuri_daemon import KeyedEvents, wait_until_set
from kakuri_registry import StoreError, StoreWriter, WorkloadEntry, WorkloadRegistry
from kakuri_rpc import ErrorCode, ErrorReply, Log, ReadLog, Reply
from kakuri_workload import LogChunk, LogRequest, WorkloadState

from kakuri_agent._replies import no_attempt, not_found
from kakuri_agent.runtimes._protocol import (
    NoLog,
    Runtime,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)

LOG_START = "start"
"""The cursor at the beginning of a log without content."""

MAX_EXHAUSTED = 4096
"""Maximum number of workloads whose log is known to have no more content until their entry changes.
Above it, the one added first is dropped, and its next request goes to the runtime again."""


class WorkloadLogs:
    """Answers requests for logs.

    Attributes:
        changed: Wakes the readers that wait for the log of a workload. Call it with the id of each
            workload that changes.
    """

    def __init__(self, registry: WorkloadRegistry, writer: StoreWriter, runtime: Runtime) -> None:
        self._registry = registry
        self._writer = writer
        self._runtime = runtime
        self._waiting = KeyedEvents()
        # By workload: the cursor after which there was no content, and the entry's version then.
        self._exhausted: dict[str, tuple[str, int]] = {}
        self._followers: set[asyncio.Task[Reply]] = set()
        self._is_stopping = False
        self.changed = self._waiting.set

    def stop_waiting(self) -> None:
        """Answer the requests that wait, and every later one at once."""
        self._is_stopping = True
        for reading in self._followers:
            reading.cancel()

    async def read(self, request: ReadLog) -> Reply:
        """Answer a request for a part of a log, once it has content or its waiting time is over."""
        if not request.wait_seconds:
            return await self._read(request)
        if self._is_stopping:
            return await self._read_at_once(request)
        reading = asyncio.create_task(self._read(request))
        self._followers.add(reading)
        try:
            await asyncio.wait([reading])
        finally:
            self._followers.discard(reading)
            reading.cancel()  # if the client has disconnected
        if reading.cancelled():
            return await self._read_at_once(request)
        return reading.result()

    async def _read_at_once(self, request: ReadLog) -> Reply:
        """Answer a request although the agent stops; one without a cursor has to get one."""
        if request.after is not None:
            return Log(b"", request.after, ended=False)
        return await self._read(replace(request, wait_seconds=0.0))

    async def _read(self, request: ReadLog) -> Reply:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait_seconds
        with self._waiting.watch(request.id) as changed:
            while True:
                if not self._writer.durability(request.id).is_reportable:
                    with suppress(StoreError):
                        await self._writer.saved(request.id)
                entry = self._registry.get(request.id)
                if entry is None:
                    return not_found(request.id)
                left = max(deadline - loop.time(), 0.0)
                reply = await self._reply(request, entry, left)
                if not _is_waiting(reply):
                    return reply
                if not await wait_until_set(changed, deadline - loop.time()):
                    return reply

    async def _reply(self, request: ReadLog, entry: WorkloadEntry, wait: float) -> Reply:
        """Answer a request from the workload's entry if that is enough, else from the runtime."""
        workload_id = request.id
        attempt = None if request.records is None else request.records.attempt
        if attempt is not None and attempt > entry.attempt:
            return no_attempt(workload_id, attempt, entry)
        if attempt == entry.attempt and entry.state is WorkloadState.PENDING:
            # The attempt has not begun: the log does not grow before the entry changes.
            return Log(b"", request.after or LOG_START, ended=request.bounded)
        known = self._exhausted.get(workload_id)
        if attempt is None and known is not None and known == (request.after, entry.version):
            return Log(b"", known[0], ended=False)
        after = None if request.after == LOG_START else request.after
        try:
            chunk = await self._runtime.read_log(
                workload_id,
                LogRequest(
                    request.tail,
                    after,
                    wait=wait,
                    bounded=request.bounded,
                    records=request.records,
                ),
            )
        except NoLog:  # it has not run yet, or failed before it ran
            if request.bounded or self._is_over(entry, attempt):
                return Log(b"", LOG_START, ended=True)
            return self._exhausted_reply(entry, LogChunk(b"", LOG_START, has_ended=False))
        except UnknownCursor as error:
            return ErrorReply(ErrorCode.BAD_REQUEST, str(error), id=workload_id)
        except RuntimeUnavailable as error:
            return ErrorReply(ErrorCode.RUNTIME_UNAVAILABLE, str(error), id=workload_id)
        except RuntimeFault as error:
            return ErrorReply(ErrorCode.RUNTIME, str(error), id=workload_id)
        is_over = self._is_durably_over(workload_id, attempt)
        if chunk.has_ended and not request.bounded and not is_over:
            return self._exhausted_reply(entry, chunk)
        self._exhausted.pop(workload_id, None)
        # An attempt that never began has no end in the log.
        is_end = is_over and attempt is not None and not (chunk.data or chunk.examined)
        return Log(chunk.data, chunk.next, chunk.has_ended or is_end, chunk.has_gap, chunk.examined)

    def _exhausted_reply(self, entry: WorkloadEntry, chunk: LogChunk) -> Log:
        """Return a chunk after which nothing follows before the workload's entry changes.

        There is no zone, or its run has ended and another one may follow.
        """
        if not chunk.data and not chunk.examined and not entry.state.is_terminal:
            workload_id = entry.workload.id
            self._exhausted.pop(workload_id, None)  # so that it becomes the newest
            self._exhausted[workload_id] = chunk.next, entry.version
            if len(self._exhausted) > MAX_EXHAUSTED:
                del self._exhausted[next(iter(self._exhausted))]
        return Log(chunk.data, chunk.next, ended=False, gap=chunk.has_gap, examined=chunk.examined)

    def _is_durably_over(self, workload_id: str, attempt: int | None) -> bool:
        """Return whether a workload, or that attempt at it, is over and a crash can't undo that."""
        entry = self._registry.get(workload_id)
        is_over = entry is None or self._is_over(entry, attempt)
        return is_over and self._writer.durability(workload_id).is_reportable

    @staticmethod
    def _is_over(entry: WorkloadEntry, attempt: int | None) -> bool:
        """Return whether a workload, or that attempt at it, will not run again."""
        return entry.state.is_terminal or (attempt is not None and attempt < entry.attempt)


def _is_waiting(reply: Reply) -> bool:
    """Return whether a reply reports that there is nothing to read at the moment."""
    return isinstance(reply, Log) and not (reply.data or reply.ended or reply.examined)
