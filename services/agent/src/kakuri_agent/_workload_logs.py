"""Reading the logs of workloads: over the restarts of their zones, and before there is one.

A request that waits for a log that can't grow at the moment - the zone has yet to start, or another
run is to follow the one that has ended - waits for the workload to change. The runtime is asked
once for each change, however many requests wait and however often they come.
"""

import asyncio
from contextlib import suppress

from kakuri_registry import Journal, StoreError, WorkloadEntry, WorkloadRegistry
from kakuri_rpc import Error, ErrorCode, Log, ReadLog, Reply

from kakuri_agent._runtime import (
    LogPart,
    LogRequest,
    NoLog,
    Runtime,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownCursor,
)
from kakuri_agent._signals import Signals, wait_for

LOG_START = "start"
"""The cursor at the beginning of a log of which there is nothing yet."""

MAX_QUIET = 4096
"""Workloads whose log is remembered to have had nothing more; beyond that, the runtime is asked
again for the oldest."""


class WorkloadLogs:
    """Answers requests for logs."""

    def __init__(self, registry: WorkloadRegistry, journal: Journal, runtime: Runtime) -> None:
        self._registry = registry
        self._journal = journal
        self._runtime = runtime
        self._signals = Signals()
        # Where there was nothing to read, by workload: after which cursor, at which version.
        self._quiet: dict[str, tuple[str, int]] = {}

    def changed(self, workload_id: str) -> None:
        """Wake the readers that wait for a workload's log."""
        self._signals.set(workload_id)

    async def read(self, request: ReadLog) -> Reply:
        """Answer a request for a part of a log, once there is one or the time is over."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait_seconds
        with self._signals.watch(request.id) as changed:
            while True:
                if not self._journal.is_settled(request.id):
                    with suppress(StoreError):
                        await self._journal.saved(request.id)
                entry = self._registry.get(request.id)
                if entry is None:
                    words = f"no workload {request.id!r}"
                    return Error(ErrorCode.NOT_FOUND, words, id=request.id)
                left = max(deadline - loop.time(), 0.0)
                reply = await self._reply(request, entry, left)
                may_wait = isinstance(reply, Log) and not reply.data and not reply.ended
                if not may_wait or not await wait_for(changed, deadline - loop.time()):
                    return reply

    async def _reply(self, request: ReadLog, entry: WorkloadEntry, wait: float) -> Reply:
        workload_id = request.id
        known = self._quiet.get(workload_id)
        if known is not None and known == (request.after, entry.version):
            return Log(b"", known[0], ended=False)
        after = None if request.after == LOG_START else request.after
        try:
            part = await self._runtime.read_log(
                workload_id, LogRequest(request.tail, after, wait=wait, bounded=request.bounded)
            )
        except NoLog:  # it did not run yet, or never will
            ended = request.bounded or entry.state.is_terminal
            part = LogPart(b"", LOG_START, ended)
        except UnknownCursor as error:
            return Error(ErrorCode.BAD_REQUEST, str(error), id=workload_id)
        except RuntimeUnavailable as error:
            return Error(ErrorCode.RUNTIME_UNAVAILABLE, str(error), id=workload_id)
        except RuntimeFault as error:
            return Error(ErrorCode.RUNTIME, str(error), id=workload_id)
        else:
            if not part.ended or request.bounded or self._has_ended(workload_id):
                self._quiet.pop(workload_id, None)
                return Log(part.data, part.next, part.ended, part.gap)
        if part.ended and part.next == LOG_START:
            return Log(b"", LOG_START, ended=True)
        if not part.data and not entry.state.is_terminal:
            self._note_quiet(workload_id, part.next, entry.version)
        return Log(part.data, part.next, ended=False, gap=part.gap)

    def _note_quiet(self, workload_id: str, cursor: str, version: int) -> None:
        self._quiet.pop(workload_id, None)
        self._quiet[workload_id] = cursor, version
        if len(self._quiet) > MAX_QUIET:
            del self._quiet[next(iter(self._quiet))]

    def _has_ended(self, workload_id: str) -> bool:
        entry = self._registry.get(workload_id)
        is_terminal = entry is None or entry.state.is_terminal
        return is_terminal and self._journal.is_settled(workload_id)
