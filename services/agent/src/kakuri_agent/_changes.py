"""The requests that change a workload: start, stop, restart, run again, remove.

A change is recorded as desired state and acknowledged once it is on disk. The reconciler carries it
out afterwards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from inspect import isawaitable

import structlog
from kakuri_daemon import current_trace, event_log, set_trace
from kakuri_registry import (
    Durability,
    RegistryFull,
    StoreError,
    StoreFull,
    StoreWriter,
    WorkloadEntry,
    WorkloadRegistry,
)
from kakuri_rpc import (
    ErrorCode,
    ErrorReply,
    RemoveWorkload,
    Reply,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    State,
    Status,
    StopWorkload,
    runtime_classes,
)
from kakuri_workload import DesiredState, Workload, WorkloadState

from kakuri_agent._capacity import Capacity, InsufficientCapacity, NeverFits
from kakuri_agent._reconciler import Reconciler
from kakuri_agent._replies import conflict, not_found, status_of, version_mismatch
from kakuri_agent.runtimes._protocol import Runtime

log = structlog.get_logger()

_SAVED = Durability.SAVED  # CPython 3.11 looks up members of enums slowly
_RUN, _REMOVE = DesiredState.RUN, DesiredState.REMOVE
_RUNNING = WorkloadState.RUNNING
_DEFAULT_CLASSES = runtime_classes(None)

MAX_REMOVING_BYTES = 256 << 20
"""Bytes of ended workloads that wait to be removed, above which new workloads are refused.

They are over their budget already, and cannot be removed while the runtime does not answer."""

ChangeRequest = StopWorkload | RemoveWorkload | RerunWorkload | RestartWorkload


class ChangeHandler:
    """Answers requests that change a workload: records each change, and acknowledges it.

    Args:
        registry: The entries of all workloads.
        writer: Writes the entries to disk.
        runtime: Runs the zones.
        capacity: The node's capacity.
        reconciler: Carries the changes out.
        clock: Wall clock, for the times of entries.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        writer: StoreWriter,
        runtime: Runtime,
        capacity: Capacity,
        reconciler: Reconciler,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._writer = writer
        self._runtime = runtime
        self._capacity = capacity
        self._reconciler = reconciler
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._log_accepted = event_log("workload accepted", "id", "image")

    def start(self, request: StartWorkload) -> Reply | Awaitable[Reply]:
        """Register a workload, or only check whether it could be registered."""
        workload = request.workload
        known = self._registry.get(workload.id)
        is_same = known is not None and known.workload == workload
        if known is not None and is_same and known.desired is not _REMOVE:
            return self._acknowledge(known, existing=True, with_version=request.with_version)
        if not self._writer.durability(workload.id).is_reportable:
            return self._when_durable(workload.id, partial(self.start, request))
        if known is not None:
            return conflict(known, workload)
        fault = self._refusal_of(workload)
        if fault is not None:
            return fault
        if request.dry_run:
            return self._check(request)
        try:
            self._capacity.reserve(workload)
            entry = self._registry.register(workload, now=self._clock(), trace=request.trace)
        except InsufficientCapacity as error:
            return _does_not_fit(error, workload.id)
        except RegistryFull as error:
            self._capacity.release(workload.id)
            return ErrorReply(ErrorCode.CAPACITY, str(error), id=workload.id)
        return self._acknowledge(entry, existing=False, with_version=request.with_version)

    def change(self, request: ChangeRequest) -> Reply | Awaitable[Reply]:
        """Stop, restart, run again or remove a workload."""
        entry = self._registry.get(request.id)
        expected = request.expected_version
        is_mismatch = entry is not None and expected not in (None, entry.version)
        if entry is None or is_mismatch:
            if not self._writer.durability(request.id).is_reportable:
                return self._when_durable(request.id, partial(self.change, request))
            if entry is None or expected is None:
                return not_found(request.id)
            return version_mismatch(entry, expected)
        match request:
            case StopWorkload(grace_seconds=grace_seconds):
                if entry.state.is_terminal:
                    return self._acknowledge(entry, with_version=request.with_version)
                return self._set_desired(request, entry, DesiredState.STOP, grace_seconds)
            case RemoveWorkload(grace_seconds=grace_seconds):
                return self._set_desired(request, entry, DesiredState.REMOVE, grace_seconds)
        if entry.desired is DesiredState.REMOVE:
            return conflict(entry)
        is_waiting = entry.state is WorkloadState.PENDING and entry.restart_at is not None
        if entry.state.is_terminal or is_waiting:
            return self._rerun(request, entry)
        if isinstance(request, RestartWorkload):
            return self._set_desired(request, entry, DesiredState.RESTART, request.grace_seconds)
        if entry.desired is DesiredState.STOP:
            return self._set_desired(request, entry, DesiredState.RESTART, entry.grace_seconds)
        return self._acknowledge(entry, existing=True, with_version=request.with_version)

    def _check(self, request: StartWorkload) -> Reply | Awaitable[Reply]:
        """Reply to a dry run: check what a start would check, and change nothing."""
        workload = request.workload
        refused = self._writer.registration_error or self._registry.full
        try:
            self._capacity.check(workload)
        except InsufficientCapacity as error:
            return _does_not_fit(error, workload.id)
        if refused is not None:
            return ErrorReply(ErrorCode.CAPACITY, str(refused), id=workload.id)
        return self._check_image(workload)

    async def _check_image(self, workload: Workload) -> Reply:
        image = await self._runtime.check_image(workload.image, workload.pull)
        return Status(workload.id, State.PENDING, image=image)

    def _refusal_of(self, workload: Workload) -> ErrorReply | None:
        """Return the error for a workload that is refused whatever the capacity, or None."""
        handlers = self._runtime.handlers
        if workload.runtime_class not in (handlers or _DEFAULT_CLASSES):
            expected = " or ".join(sorted(runtime_classes(handlers)))
            return ErrorReply(
                ErrorCode.BAD_REQUEST,
                f"expected runtime class {expected}, got {workload.runtime_class!r}",
                id=workload.id,
            )
        removing = self._registry.removing_bytes
        if removing > MAX_REMOVING_BYTES:
            message = f"{removing} bytes of ended workloads wait to be removed by the runtime"
            return ErrorReply(ErrorCode.CAPACITY, message, id=workload.id)
        return None

    async def _when_durable(
        self, workload_id: str, build: Callable[[], Reply | Awaitable[Reply]]
    ) -> Reply:
        """Reply once a workload's last change is durable: a crash could undo it until then."""
        with suppress(StoreError):  # the writer has withdrawn the registration
            await self._writer.saved(workload_id)
        reply = build()
        return await reply if isawaitable(reply) else reply

    def _set_desired(
        self, request: ChangeRequest, known: WorkloadEntry, desired: DesiredState, grace: int
    ) -> Reply | Awaitable[Reply]:
        entry = self._registry.set_desired(
            request.id, desired, now=self._clock(), grace_seconds=grace, trace=request.trace
        )
        if entry is not known:
            log.info(
                "workload to end",
                id=request.id,
                desired=entry.desired.value,
                grace=entry.grace_seconds,
            )
        return self._acknowledge(entry, with_version=request.with_version)

    def _rerun(self, request: ChangeRequest, known: WorkloadEntry) -> Reply | Awaitable[Reply]:
        """Begin the next attempt at a workload that has ended, or that waits for it already."""
        if known.state.is_terminal:
            try:
                self._capacity.reserve(known.workload)
            except InsufficientCapacity as error:
                return _does_not_fit(error, known.workload.id)
        entry = self._reconciler.rerun(known, trace=request.trace)
        return self._acknowledge(entry, with_version=request.with_version)

    def _acknowledge(
        self, entry: WorkloadEntry, *, existing: bool | None = None, with_version: bool
    ) -> Reply | Awaitable[Reply]:
        """Enqueue a workload for reconciliation, and answer once its entry is on disk.

        `existing`: whether a request to run it found it registered; None for other requests.
        """
        if self._writer.durability(entry.workload.id) is not _SAVED:
            return self._acknowledge_when_durable(entry, existing, with_version)
        # A workload that runs as desired needs nothing: it is reconciled when its zone changes.
        if entry.run.state is not _RUNNING or entry.desired is not _RUN:
            self._reconciler.enqueue(entry.workload.id)
        return self._accepted(entry, existing, with_version)

    def _acknowledge_when_durable(
        self,
        entry: WorkloadEntry,
        existing: bool | None,  # noqa: FBT001
        with_version: bool,  # noqa: FBT001
    ) -> asyncio.Future[Reply]:
        # No task for each request: with many requests, tasks would double the cost.
        reply: asyncio.Future[Reply] = self._loop.create_future()
        on_saved = partial(self._reply, reply, entry, existing, with_version, current_trace())
        self._writer.when_saved(entry.workload.id, on_saved)
        return reply

    def _reply(
        self,
        reply: asyncio.Future[Reply],
        entry: WorkloadEntry,
        existing: bool | None,  # noqa: FBT001
        with_version: bool,  # noqa: FBT001
        trace: str | None,
        error: StoreError | None,
    ) -> None:
        if not reply.done():  # the client may have disconnected
            set_trace(trace)  # the writer calls this, for the requests of a batch in turn
            reply.set_result(
                self._accepted(entry, existing, with_version)
                if error is None
                else self._refused(error, entry, existing=existing)
            )
            set_trace(None)
        self._reconciler.enqueue(entry.workload.id)

    def _accepted(
        self,
        entry: WorkloadEntry,
        existing: bool | None,  # noqa: FBT001
        with_version: bool,  # noqa: FBT001
    ) -> Reply:
        if existing is False:
            workload = entry.workload
            self._log_accepted(workload.id, workload.image)
        end_failure = self._runtime.end_failures.get(entry.workload.id)
        return status_of(
            entry,
            restart_at=self._reconciler.restart_at(entry),
            existing=existing is True,
            with_version=with_version,
            end_failure=end_failure,
        )

    def _refused(
        self, error: StoreError, entry: WorkloadEntry, *, existing: bool | None
    ) -> ErrorReply:
        workload_id = entry.workload.id
        if existing is None and workload_id not in self._registry:
            return not_found(workload_id)  # its registration was refused too
        if existing is False:
            log.warning("workload refused", id=workload_id, error=str(error))
        code = ErrorCode.CAPACITY if isinstance(error, StoreFull) else ErrorCode.INTERNAL
        return ErrorReply(code, str(error), id=workload_id)


def _does_not_fit(error: InsufficientCapacity, workload_id: str) -> ErrorReply:
    code = ErrorCode.NEVER_FITS if isinstance(error, NeverFits) else ErrorCode.CAPACITY
    return ErrorReply(code, str(error), id=workload_id)
