"""The agent: answers the control plane from the registry and lets the reconciler do the work.

A request is recorded as desired state and acknowledged once it is on disk. The reconciler carries
it out, and only reports of the runtime change a workload's state.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from inspect import isawaitable
from typing import assert_never

import structlog
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
    DescribeNode,
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    History,
    LateReply,
    ListWorkloads,
    Node,
    ReadLog,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    Status,
    StopWorkload,
    WorkloadList,
    runtime_classes,
)
from kakuri_workload import DesiredState, Workload, WorkloadState

from kakuri_agent._capacity import Capacity, InsufficientCapacity, NeverFits
from kakuri_agent._reconciler import Reconciler
from kakuri_agent._version import __version__
from kakuri_agent._workload_logs import WorkloadLogs
from kakuri_agent.runtimes._protocol import Runtime

log = structlog.get_logger()

MAX_REMOVING_BYTES = 256 << 20
"""Bytes of ended workloads that wait to be removed, above which new workloads are refused.

They are over their budget already, and cannot be removed while the runtime does not answer."""

REMOVAL_GRACE_SECONDS = 10
"""Grace time of a workload that is removed while it runs."""


class Agent:
    """Runs the workloads of one node.

    Example:
        registry = WorkloadRegistry.load(store.load())
        async with StoreWriter(registry, store) as writer:
            agent = Agent(registry, writer, SimulatedRuntime())
            reply = agent.handle(StartWorkload(workload))
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        writer: StoreWriter,
        runtime: Runtime,
        capacity: Capacity | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._writer = writer
        self._runtime = runtime
        self._capacity = capacity or Capacity()
        self._clock = clock
        self._capacity.reserve_accepted(
            entry.workload for entry in registry if not entry.state.is_terminal
        )
        self._logs = WorkloadLogs(registry, writer, runtime)
        self._reconciler = Reconciler(
            registry,
            writer,
            runtime,
            self._capacity,
            clock=clock,
            on_change=self._logs.changed,
        )

    def handle(self, request: Request) -> Reply | Awaitable[LateReply]:
        """Answer one request of the agent protocol.

        Changes are recorded as desired state and acknowledged once they are on disk; the reconciler
        carries them out afterwards. A state is reported only if a crash would not undo it, or while
        the disk accepts no changes.

        Args:
            request: The request. Its fields have been validated by the decoder.

        Returns:
            The reply, if it is available at once. Otherwise an awaitable of the reply, or of a
            function that builds it: a list of a thousand states takes much more memory than the
            entries that it is built from, so it is built when it is sent. Cancelling the awaitable
            does not withdraw the request.
        """
        match request:
            case GetStatus(id=workload_id):
                return self._report(workload_id, self._get_status)
            case StartWorkload(workload=workload):
                return self._start(workload)
            case StopWorkload(id=workload_id, grace_seconds=grace_seconds):
                return self._set_desired(workload_id, DesiredState.STOP, grace_seconds)
            case RemoveWorkload(id=workload_id):
                return self._set_desired(workload_id, DesiredState.REMOVE, REMOVAL_GRACE_SECONDS)
            case ListWorkloads():
                build = self._list(request)
                if self._writer.backlog and self._writer.error is None:
                    return self._list_when_durable(build)
                return build()
            case DescribeNode():
                return self._describe()
            case ReadLog():
                return self._logs.read(request)
            case GetHistory(id=workload_id):
                return self._report(workload_id, self._get_history)
        assert_never(request)

    def enqueue(self, workload_id: str) -> None:
        """Reconcile a workload soon, because its entry was changed without a request."""
        self._reconciler.enqueue(workload_id)

    def notify_ends(self, on_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended for good."""
        self._reconciler.notify_ends(on_end)

    def close(self) -> None:
        """Stop reconciling; zones continue to run."""
        self._reconciler.close()

    def _start(self, workload: Workload) -> Reply | Awaitable[Reply]:
        known = self._registry.get(workload.id)
        is_same = known is not None and known.workload == workload
        if known is not None and is_same and known.desired is not DesiredState.REMOVE:
            return self._acknowledge(known, existing=True)
        if not self._writer.durability(workload.id).is_reportable:
            return self._start_when_durable(workload)
        if known is not None:
            return _conflict(known)
        classes = runtime_classes(self._runtime.handlers)
        if workload.runtime_class not in classes:
            expected = " or ".join(sorted(classes))
            return ErrorReply(
                ErrorCode.BAD_REQUEST,
                f"expected runtime class {expected}, got {workload.runtime_class!r}",
                id=workload.id,
            )
        removing = self._registry.removing_bytes
        if removing > MAX_REMOVING_BYTES:
            message = f"{removing} bytes of ended workloads wait to be removed by the runtime"
            return ErrorReply(ErrorCode.CAPACITY, message, id=workload.id)
        try:
            self._capacity.reserve(workload)
        except NeverFits as error:
            return ErrorReply(ErrorCode.NEVER_FITS, str(error), id=workload.id)
        except InsufficientCapacity as error:
            return ErrorReply(ErrorCode.CAPACITY, str(error), id=workload.id)
        try:
            entry = self._registry.register(workload, now=self._clock())
        except RegistryFull as error:
            self._capacity.release(workload.id)
            return ErrorReply(ErrorCode.CAPACITY, str(error), id=workload.id)
        return self._acknowledge(entry, existing=False)

    async def _start_when_durable(self, workload: Workload) -> Reply:
        """Start once the workload's last change is durable: a crash could undo it until then."""
        with suppress(StoreError):  # the writer has withdrawn the registration
            await self._writer.saved(workload.id)
        reply = self._start(workload)
        return await reply if isawaitable(reply) else reply

    def _set_desired(
        self, workload_id: str, desired: DesiredState, grace_seconds: int
    ) -> Reply | Awaitable[Reply]:
        entry = self._registry.get(workload_id)
        if entry is None:
            return self._report(workload_id, _not_found)
        if not (desired is DesiredState.STOP and entry.state.is_terminal):
            known = entry
            entry = self._registry.set_desired(
                workload_id, desired, now=self._clock(), grace_seconds=grace_seconds
            )
            if entry is not known:
                log.info(
                    "workload to end",
                    id=workload_id,
                    desired=entry.desired.value,
                    grace=entry.grace_seconds,
                )
        return self._acknowledge(entry)

    def _acknowledge(
        self, entry: WorkloadEntry, *, existing: bool | None = None
    ) -> Reply | Awaitable[Reply]:
        """Enqueue a workload for reconciliation, and answer once its entry is on disk.

        `existing` is whether a workload to start was already registered; None for stop and remove.
        """
        if self._writer.durability(entry.workload.id) is not Durability.SAVED:
            return self._acknowledge_when_durable(entry, existing=existing)
        # A workload that runs as desired needs nothing: it is reconciled when its zone changes.
        is_as_desired = entry.desired is DesiredState.RUN and entry.state is WorkloadState.RUNNING
        if not is_as_desired:
            self._reconciler.enqueue(entry.workload.id)
        return self._accepted(entry, existing=existing)

    def _acknowledge_when_durable(
        self, entry: WorkloadEntry, *, existing: bool | None
    ) -> asyncio.Future[Reply]:
        # No task for each request: with many requests, tasks would double the cost.
        workload_id = entry.workload.id
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def on_saved(error: StoreError | None) -> None:
            if not reply.done():  # the client may have disconnected
                reply.set_result(
                    self._accepted(entry, existing=existing)
                    if error is None
                    else self._refused(error, entry, existing=existing)
                )
            self._reconciler.enqueue(workload_id)

        self._writer.when_saved(workload_id, on_saved)
        return reply

    def _accepted(self, entry: WorkloadEntry, *, existing: bool | None) -> Reply:
        if existing is False:
            log.info("workload accepted", id=entry.workload.id, image=entry.workload.image)
        return Status.of(entry.workload.id, entry.run, existing=bool(existing))

    def _refused(
        self, error: StoreError, entry: WorkloadEntry, *, existing: bool | None
    ) -> ErrorReply:
        workload_id = entry.workload.id
        if existing is None and workload_id not in self._registry:
            return _not_found(workload_id)  # its registration was refused too
        if existing is False:
            log.warning("workload refused", id=workload_id, error=str(error))
        code = ErrorCode.CAPACITY if isinstance(error, StoreFull) else ErrorCode.INTERNAL
        return ErrorReply(code, str(error), id=workload_id)

    def _report(self, workload_id: str, build: Callable[[str], Reply]) -> Reply | Awaitable[Reply]:
        """Reply with a state of a workload that a crash would not undo.

        While the disk accepts no changes, the reply is sent all the same.
        """
        if self._writer.durability(workload_id).is_reportable:
            return build(workload_id)
        return self._report_when_durable(workload_id, build)

    async def _report_when_durable(self, workload_id: str, build: Callable[[str], Reply]) -> Reply:
        """Build a reply now, and return it once the state that it reports is on disk."""
        while not self._writer.durability(workload_id).is_reportable:
            reply = build(workload_id)
            try:
                await self._writer.saved(workload_id)
            except StoreError:  # the registration was withdrawn, so the reply is wrong
                continue
            return reply
        return build(workload_id)

    async def _list_when_durable(self, build: Callable[[], Reply]) -> Callable[[], Reply]:
        with suppress(StoreError):  # as in `_report`: better than no reply
            await self._writer.flushed(registrations=False)
        return build

    def _get_status(self, workload_id: str) -> Reply:
        entry = self._registry.get(workload_id)
        return _not_found(workload_id) if entry is None else Status.of(workload_id, entry.run)

    def _list(self, request: ListWorkloads) -> Callable[[], Reply]:
        """Return a function that builds the list of the present states.

        Until it is called, the entries take much less memory than the reply.
        """
        state = None if request.state is None else request.state.workload_state
        label = None
        if request.label is not None:
            key, _, value = request.label.partition("=")
            label = key, value
        # One more than requested shows whether another page follows.
        entries = self._registry.page(
            state=state, label=label, after=request.after, limit=request.limit + 1
        )
        page = entries[: request.limit]
        following = page[-1].workload.id if len(entries) > len(page) else None
        # A workload whose registration is not on disk yet may still be refused.
        durability = self._writer.durability
        known = [
            entry for entry in page if durability(entry.workload.id) is not Durability.UNREGISTERED
        ]
        return lambda: WorkloadList(
            [Status.of(entry.workload.id, entry.run) for entry in known], following
        )

    def _describe(self) -> Reply:
        capacity = self._capacity
        return Node(
            version=__version__,
            runtime=self._runtime.name,
            runtime_endpoint=self._runtime.endpoint,
            runtime_handlers=dict(self._runtime.handlers) or None,
            simulated=self._runtime.is_simulated,
            workloads=len(self._registry),
            message=self._operator_message(),
            runtime_available=self._runtime.fault is None,
            memory_mb=capacity.memory_mb,
            cpu_millicores=capacity.cpu_millicores,
            memory_mb_used=capacity.memory_mb_used,
            cpu_millicores_used=capacity.cpu_millicores_used,
        )

    def _operator_message(self) -> str | None:
        """Return the most severe problem of the node, if there is one."""
        if self._writer.error is not None:
            return f"the store accepts no changes: {self._writer.error}"
        if self._writer.registration_error is not None:
            return f"the store accepts no new workloads: {self._writer.registration_error}"
        if self._runtime.is_simulated:
            return "nothing really runs: the runtime is simulated"
        return self._runtime.fault

    def _get_history(self, workload_id: str) -> Reply:
        if workload_id not in self._registry:
            return _not_found(workload_id)
        return History.of(workload_id, self._registry.history(workload_id))


def _conflict(known: WorkloadEntry) -> ErrorReply:
    workload_id = known.workload.id
    is_ending = known.desired is DesiredState.REMOVE
    what = "is being removed" if is_ending else "exists with another specification"
    return ErrorReply(ErrorCode.CONFLICT, f"workload {workload_id!r} {what}", id=workload_id)


def _not_found(workload_id: str) -> ErrorReply:
    return ErrorReply(ErrorCode.NOT_FOUND, f"no workload {workload_id!r}", id=workload_id)
