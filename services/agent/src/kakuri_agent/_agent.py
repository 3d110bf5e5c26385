"""The agent: it answers the control plane from the registry and has the runtime do the work.

Every request is answered at once from what is known; the runtime works in the background and
reports what happened, and only such reports move a workload along its states.
"""

import time
from collections.abc import Callable
from typing import assert_never

import structlog
from kakuri_registry import (
    RegistryFull,
    Workload,
    WorkloadEntry,
    WorkloadRegistry,
)
from kakuri_rpc import (
    DescribeNode,
    Error,
    ErrorCode,
    GetStatus,
    ListWorkloads,
    Node,
    RemoveWorkload,
    Reply,
    Request,
    StartWorkload,
    Status,
    StopWorkload,
    WorkloadList,
)

from kakuri_agent._runtime import Runtime, ZoneStatus
from kakuri_agent._version import __version__

log = structlog.get_logger()

RUNTIME_CLASSES = frozenset({"edera-zone"})
"""The runtime classes that a workload may ask for."""

REMOVAL_GRACE_SECONDS = 10
"""How long a workload that is removed while it runs may take to end by itself."""


class Agent:
    """Runs the workloads of one node. It is the runtime's observer."""

    def __init__(
        self,
        registry: WorkloadRegistry,
        runtime: Runtime,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._runtime = runtime
        self._clock = clock
        self._being_removed: set[str] = set()
        runtime.attach(self)

    def handle(self, request: Request) -> Reply:
        """Answer one request of the agent protocol."""
        match request:
            case GetStatus(id=workload_id):
                entry = self._registry.get(workload_id)
                return _not_found(workload_id) if entry is None else status_of(entry)
            case StartWorkload(workload=workload):
                return self._start(workload)
            case StopWorkload(id=workload_id, grace_seconds=grace_seconds):
                return self._stop(workload_id, grace_seconds)
            case RemoveWorkload(id=workload_id):
                return self._remove(workload_id)
            case ListWorkloads():
                return self._list(request)
            case DescribeNode():
                return self._describe()
        assert_never(request)

    def _start(self, workload: Workload) -> Reply:
        known = self._registry.get(workload.id)
        if known is not None:
            return self._start_again(known, workload)
        if workload.runtime_class not in RUNTIME_CLASSES:
            expected = ", ".join(sorted(RUNTIME_CLASSES))
            return Error(
                ErrorCode.BAD_REQUEST,
                f"expected runtime class {expected}, got {workload.runtime_class!r}",
                id=workload.id,
            )
        try:
            entry = self._registry.register(workload, now=self._clock())
        except RegistryFull as error:
            return Error(ErrorCode.CAPACITY, str(error), id=workload.id)
        self._runtime.start(workload)
        log.info("workload accepted", id=workload.id, image=workload.image)
        return status_of(entry)

    def _start_again(self, known: WorkloadEntry, workload: Workload) -> Reply:
        if workload.id in self._being_removed:
            return Error(
                ErrorCode.CONFLICT, f"workload {workload.id!r} is being removed", id=workload.id
            )
        if known.workload != workload:
            return Error(
                ErrorCode.CONFLICT,
                f"workload {workload.id!r} exists with another specification",
                id=workload.id,
            )
        return status_of(known, existing=True)

    def _stop(self, workload_id: str, grace_seconds: int) -> Reply:
        entry = self._registry.get(workload_id)
        if entry is None:
            return _not_found(workload_id)
        if not entry.state.is_terminal:
            log.info("workload is stopped", id=workload_id)
            self._runtime.stop(workload_id, grace_seconds)
        return status_of(self._registry.get(workload_id) or entry)

    def _remove(self, workload_id: str) -> Reply:
        entry = self._registry.get(workload_id)
        if entry is None:
            return _not_found(workload_id)
        if workload_id not in self._being_removed:
            log.info("workload is removed", id=workload_id, state=entry.state.value)
            self._being_removed.add(workload_id)
            if entry.state.is_terminal:
                self._runtime.remove(workload_id)
            else:
                self._runtime.stop(workload_id, REMOVAL_GRACE_SECONDS)
        return status_of(entry)

    def _list(self, request: ListWorkloads) -> Reply:
        state = None if request.state is None else request.state.workload_state
        # One more than asked for tells whether anything follows.
        entries = self._registry.page(state=state, after=request.after, limit=request.limit + 1)
        page = entries[: request.limit]
        return WorkloadList(
            [status_of(entry) for entry in page],
            page[-1].workload.id if len(entries) > len(page) else None,
        )

    def _describe(self) -> Reply:
        return Node(
            version=__version__,
            runtime=self._runtime.name,
            simulated=self._runtime.is_simulated,
            workloads=len(self._registry),
            message="nothing really runs: the runtime is simulated"
            if self._runtime.is_simulated
            else None,
        )

    def zone_changed(self, status: ZoneStatus) -> None:
        """Move a workload to the state that the runtime reports."""
        entry = self._registry.get(status.workload_id)
        if entry is None:
            return  # removed meanwhile
        if entry.state is status.state and entry.state.is_terminal:
            return  # reported again
        if entry.state is not status.state and not entry.state.can_become(status.state):
            log.warning(
                "report not believed",
                id=status.workload_id,
                known=entry.state.value,
                reported=status.state.value,
            )
            return
        self._registry.update(
            status.workload_id,
            status.state,
            now=self._clock(),
            reason=status.reason,
            message=status.message,
            exit_code=status.exit_code,
            handle=status.handle,
        )
        log.info(
            "workload changed",
            id=status.workload_id,
            state=status.state.value,
            **{
                name: value
                for name in ("reason", "message", "exit_code")
                if (value := getattr(status, name)) is not None
            },
        )
        if status.state.is_terminal and status.workload_id in self._being_removed:
            self._runtime.remove(status.workload_id)

    def zone_gone(self, workload_id: str) -> None:
        """Forget a workload of which nothing is left."""
        self._being_removed.discard(workload_id)
        if workload_id in self._registry:
            self._registry.remove(workload_id)
            log.info("workload removed", id=workload_id)


def status_of(entry: WorkloadEntry, *, existing: bool = False) -> Status:
    """Put a snapshot into the words of the agent protocol."""
    return Status.of(
        entry.workload.id,
        entry.state,
        reason=entry.reason,
        message=entry.message,
        exit_code=entry.exit_code,
        existing=existing,
    )


def _not_found(workload_id: str) -> Error:
    return Error(ErrorCode.NOT_FOUND, f"no workload {workload_id!r}", id=workload_id)
