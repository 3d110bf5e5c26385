"""The agent: answers the control plane from the registry and lets the reconciler do the work.

A request is recorded as desired state and acknowledged once it is on disk. The reconciler carries
it out, and only reports of the runtime change a workload's state.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar, assert_never

from kakuri_daemon import set_trace
from kakuri_daemon.metrics import process_families
from kakuri_registry import (
    Durability,
    StoreError,
    StoreWriter,
    WorkloadEntry,
    WorkloadRegistry,
)
from kakuri_rpc import (
    FEATURES,
    DescribeNode,
    GetHistory,
    GetStatus,
    History,
    LateReply,
    ListWorkloads,
    Node,
    ReadLog,
    ReadMetrics,
    RemoveWorkload,
    Reply,
    Request,
    RerunWorkload,
    RestartWorkload,
    StartWorkload,
    Status,
    StopWorkload,
    WatchChanges,
)
from kakuri_workload.metrics import METRICS_ZONES

from kakuri_agent._capacity import Capacity
from kakuri_agent._changes import ChangeHandler
from kakuri_agent._event_feed import EventFeed
from kakuri_agent._metrics import Collector, NodeMetrics
from kakuri_agent._node_metrics import node_families
from kakuri_agent._reconciler import Reconciler
from kakuri_agent._removed import RemovedWorkloads
from kakuri_agent._replies import not_found, page_builder, selection_of, status_of
from kakuri_agent._version import __version__
from kakuri_agent._workload_logs import WorkloadLogs
from kakuri_agent._workload_metrics import WorkloadMetrics
from kakuri_agent._zone_families import zone_families
from kakuri_agent.runtimes._protocol import Runtime

R = TypeVar("R", GetStatus, GetHistory)


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
        name: str | None = None,
        store: str | None = None,
        keeps_removed: bool = True,
        metrics_zones: int = METRICS_ZONES,
        families: Sequence[Collector] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Start to run the workloads of a registry.

        Args:
            registry: The entries of all workloads.
            writer: Writes the entries to disk.
            runtime: Runs the zones.
            capacity: The node's capacity; by default it has no limits.
            name: The node's name, for its description.
            store: Where workloads are kept, for the node's description.
            keeps_removed: Whether removed workloads can be read until their retention is over.
            metrics_zones: How many zones have series of their own in the metrics.
            families: Collectors of metrics of other parts of the process.
            clock: Wall clock, for the times of entries.
        """
        self._registry = registry
        self._writer = writer
        self._runtime = runtime
        self._capacity = capacity or Capacity()
        self._name = name
        self._store = store
        self._started_at = clock()
        self._capacity.reserve_accepted(
            entry.workload for entry in registry if not entry.state.is_terminal
        )
        self._events = EventFeed(registry, runtime, clock=clock)
        self._logs = WorkloadLogs(registry, writer, runtime)
        self._removed = RemovedWorkloads(registry, writer)
        workloads = WorkloadMetrics(registry)
        self._reconciler = Reconciler(
            registry,
            writer,
            runtime,
            self._capacity,
            clock=clock,
            keeps_removed=keeps_removed,
            on_change=self._logs.changed,
            on_run_end=workloads.run_ended,
        )
        self._changes = ChangeHandler(
            registry, writer, runtime, self._capacity, self._reconciler, clock=clock
        )
        self._metrics = NodeMetrics(
            runtime,
            [
                partial(process_families, "agent", __version__),
                workloads.families,
                partial(node_families, self._capacity, registry),
                self._reconciler.families,
                *families,
                partial(zone_families, registry, metrics_zones),
            ],
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
            case GetStatus():
                return self._report(request, self._get_status)
            case StartWorkload():
                set_trace(request.trace)  # each request is handled in a context of its own
                return self._changes.start(request)
            case StopWorkload() | RemoveWorkload() | RerunWorkload() | RestartWorkload():
                set_trace(request.trace)
                return self._changes.change(request)
            case ListWorkloads():
                build = self._removed.page(request) if request.removed else self._list(request)
                if self._writer.backlog and self._writer.error is None:
                    return self._list_when_durable(build)
                return build()
            case DescribeNode():
                return self._describe()
            case ReadLog():
                set_trace(request.trace)
                return (self._removed.read_log if request.removed else self._logs.read)(request)
            case GetHistory():
                return self._report(request, self._get_history)
            case WatchChanges():
                return self._events.read(request)
            case ReadMetrics():
                return self._metrics.read(request)
        assert_never(request)

    def enqueue(self, workload_id: str) -> None:
        """Reconcile a workload soon, because its entry was changed without a request."""
        self._reconciler.enqueue(workload_id)

    def notify_ends(self, on_workload_end: Callable[[], None]) -> None:
        """Call a function whenever a workload has ended for good."""
        self._reconciler.notify_ends(on_workload_end)

    def stop_waiting(self) -> None:
        """Answer the requests that wait for events or logs, because the agent stops."""
        self._events.stop_waiting()
        self._logs.stop_waiting()

    def close(self) -> None:
        """Stop reconciling; zones continue to run."""
        self._events.close()
        self._metrics.close()
        self._reconciler.close()

    def _report(self, request: R, build: Callable[[R], Reply]) -> Reply | Awaitable[Reply]:
        """Reply with a state of a workload that a crash would not undo.

        While the disk accepts no changes, the reply is sent all the same.
        """
        if self._writer.durability(request.id).is_reportable:
            return build(request)
        return self._report_when_durable(request, build)

    async def _report_when_durable(self, request: R, build: Callable[[R], Reply]) -> Reply:
        """Build a reply now, and return it once the state that it reports is on disk."""
        while not self._writer.durability(request.id).is_reportable:
            reply = build(request)
            try:
                await self._writer.saved(request.id)
            except StoreError:  # the registration was withdrawn, so the reply is wrong
                continue
            return reply
        return build(request)

    async def _list_when_durable(self, build: Callable[[], Reply]) -> Callable[[], Reply]:
        with suppress(StoreError):  # as in `_report`: better than no reply
            await self._writer.flushed(registrations=False)
        return build

    def _get_status(self, request: GetStatus) -> Reply:
        if request.removed:
            return self._removed.status(request)
        entry = self._registry.get(request.id)
        if entry is None:
            return not_found(request.id)
        return self._status(entry, detail=request.detail, with_version=request.with_version)

    def _status(
        self, entry: WorkloadEntry, *, detail: bool = False, with_version: bool = False
    ) -> Status:
        workload_id = entry.workload.id
        zone = self._runtime.status(workload_id) if detail else None
        if zone is not None and zone.attempt != entry.attempt:
            zone = None
        end_failure = self._runtime.end_failures.get(workload_id)
        return status_of(
            entry,
            restart_at=self._reconciler.restart_at(entry),
            with_version=with_version,
            detail=detail,
            zone=zone,
            end_failure=end_failure,
        )

    def _list(self, request: ListWorkloads) -> Callable[[], Reply]:
        """Return a function that builds the list of the current states."""
        state, label = selection_of(request)
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
        build_status = partial(self._status, detail=request.detail)
        return page_builder(known, following, build_status, detail=request.detail)

    def _describe(self) -> Reply:
        capacity = self._capacity
        reason, message = self._condition()
        return Node(
            version=__version__,
            runtime=self._runtime.name,
            runtime_endpoint=self._runtime.endpoint,
            runtime_handlers=dict(self._runtime.handlers) or None,
            simulated=self._runtime.is_simulated,
            workloads=len(self._registry),
            message=message,
            runtime_available=self._runtime.fault is None,
            memory_mb=capacity.memory_mb,
            cpu_millicores=capacity.cpu_millicores,
            memory_mb_used=capacity.memory_mb_used,
            cpu_millicores_used=capacity.cpu_millicores_used,
            name=self._name,
            store=self._store,
            started_at=self._started_at,
            event_index=self._registry.journal.index,
            store_id=self._registry.store_id,
            reason=reason,
            features=list(FEATURES),
        )

    def _condition(self) -> tuple[str | None, str | None]:
        """Return a reason and a message for the most severe problem of the node, if it has one."""
        writer, fault = self._writer, self._runtime.fault
        if writer.error is not None:
            return "StoreFailed", f"the store accepts no changes: {writer.error}"
        if writer.registration_error is not None:
            message = f"the store accepts no new workloads: {writer.registration_error}"
            return "RegistrationFailed", message
        if self._runtime.is_simulated:
            return "Simulated", "nothing really runs: the runtime is simulated"
        return (None, None) if fault is None else ("RuntimeUnavailable", fault)

    def _get_history(self, request: GetHistory) -> Reply:
        if request.removed:
            return self._removed.history(request)
        if request.id not in self._registry:
            return not_found(request.id)
        return History.of(request.id, self._registry.history(request.id))
