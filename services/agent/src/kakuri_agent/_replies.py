"""The replies of the agent protocol, built from the registry's entries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from kakuri_json import encode
from kakuri_registry import Tombstone, WorkloadEntry
from kakuri_rpc import (
    MAX_DETAIL_BYTES,
    MAX_DIFFERENCES,
    MAX_PATH_LENGTH,
    Desired,
    ErrorCode,
    ErrorReply,
    ListWorkloads,
    Status,
    WorkloadList,
)
from kakuri_workload import (
    DesiredState,
    Run,
    Workload,
    WorkloadState,
    ZoneStatus,
    differences,
    printable,
)

T = TypeVar("T", WorkloadEntry, Tombstone)

_RUN = DesiredState.RUN  # CPython 3.11 looks up members of enums slowly

MAX_OWN_MESSAGE = 512
"""Maximum length of the message of an ended workload to which an error of its zone is added."""


def status_of(
    entry: WorkloadEntry,
    *,
    restart_at: float | None = None,
    existing: bool = False,
    with_version: bool = False,
    detail: bool = False,
    zone: ZoneStatus | None = None,
    end_failure: str | None = None,
) -> Status:
    """Return the status of a workload.

    Args:
        entry: Its entry.
        restart_at: When its next run is due; None if it does not wait for one.
        existing: Whether the request changed nothing, because the workload was as requested.
        with_version: Whether the status has its version.
        detail: Whether the status has everything that is known.
        zone: The zone of its run, for a status with details.
        end_failure: The runtime's latest error, if the zone could not be stopped or removed yet.
            Added to the message of an ended workload, whose entry no longer changes.
    """
    run = entry.run
    if end_failure is not None and run.state.is_terminal:
        own = f"{printable(run.message, MAX_OWN_MESSAGE)}; " if run.message else ""
        run = replace(run, message=f"{own}its zone can't be stopped or removed: {end_failure}")
    status = Status.of(entry.workload.id, run, existing=existing)
    if entry.desired is _RUN and restart_at is None and not with_version and not detail:
        return status
    return replace(
        status,
        desired=Desired.of(entry.desired, entry.state),
        restart_at=restart_at,
        version=entry.version if with_version or detail else None,
        created_at=entry.registered_at if detail else None,
        changed_at=entry.changed_at if detail else None,
        workload=_as_submitted(entry.workload) if detail else None,
        isolation=None if zone is None else zone.isolation,
        pulled_bytes=None if zone is None else zone.pulled_bytes,
    )


def _as_submitted(workload: Workload) -> Workload:
    """Return a workload with plain dicts: the codec omits empty ones, but not frozen mappings."""
    return replace(workload, env=dict(workload.env), labels=dict(workload.labels))


def removed_status_of(
    tombstone: Tombstone, *, with_version: bool = False, detail: bool = False
) -> Status:
    """Return the last status of a removed workload; its version is that of the removal."""
    status = status_of(tombstone.entry, detail=detail)
    return replace(
        status,
        desired=None,
        version=tombstone.version if with_version or detail else None,
        removed_at=tombstone.removed_at,
        removal=tombstone.removal,
    )


def selection_of(
    request: ListWorkloads,
) -> tuple[WorkloadState | None, tuple[str, str] | None]:
    """Return the state and the label that a request selects workloads by."""
    state = None if request.state is None else request.state.workload_state
    if request.label is None:
        return state, None
    key, _, value = request.label.partition("=")
    return state, (key, value)


def page_builder(
    page: Sequence[T], following: str | None, build_status: Callable[[T], Status], *, detail: bool
) -> Callable[[], WorkloadList]:
    """Return a function that builds a list of statuses.

    Until it is called, the entries take much less memory than the reply. A page with details ends
    before its statuses exceed MAX_DETAIL_BYTES together, but has one at least.

    Args:
        page: The entries of the page, or the tombstones.
        following: The cursor after the page, if it is complete and not the last one.
        build_status: Returns the status of one of them.
        detail: Whether the statuses have everything that is known.
    """

    def build() -> WorkloadList:
        if not detail:
            return WorkloadList([build_status(entry) for entry in page], following)
        statuses: list[Status] = []
        size = 0
        for entry in page:
            status = build_status(entry)
            size += len(encode(status))
            if statuses and size > MAX_DETAIL_BYTES:
                return WorkloadList(statuses, statuses[-1].id)
            statuses.append(status)
        return WorkloadList(statuses, following)

    return build


def conflict(known: WorkloadEntry, given: Workload | None = None) -> ErrorReply:
    """Return the error for an id that is taken.

    Args:
        known: The entry with the id.
        given: The workload that was to be started, if its specification may be the reason.
    """
    workload_id = known.workload.id
    if known.desired is DesiredState.REMOVE or given is None:
        message = f"workload {workload_id!r} is being removed"
        return ErrorReply(ErrorCode.CONFLICT, message, id=workload_id)
    paths = islice(differences(known.workload, given), MAX_DIFFERENCES)
    return ErrorReply(
        ErrorCode.CONFLICT,
        f"workload {workload_id!r} exists with another specification",
        sorted(printable(path, MAX_PATH_LENGTH) for path in paths),
        id=workload_id,
    )


def version_mismatch(entry: WorkloadEntry, expected: int) -> ErrorReply:
    """Return the error for a workload that has changed since the version that was expected."""
    return ErrorReply(
        ErrorCode.VERSION_MISMATCH,
        f"expected version {expected} of workload {entry.workload.id!r}, got {entry.version}",
        version=entry.version,
        id=entry.workload.id,
    )


def not_found(workload_id: str) -> ErrorReply:
    """Return the error for an id that no workload has."""
    return ErrorReply(ErrorCode.NOT_FOUND, f"no workload {workload_id!r}", id=workload_id)


def not_removed(workload_id: str) -> ErrorReply:
    """Return the error for an id without a tombstone: never removed, or too long ago."""
    message = f"no removed workload {workload_id!r}"
    return ErrorReply(ErrorCode.NOT_FOUND, message, id=workload_id)


def no_attempt(workload_id: str, attempt: int, entry: WorkloadEntry) -> ErrorReply:
    """Return the error for the log of an attempt later than the latest one."""
    message = f"no attempt {attempt} of {workload_id!r}: the latest is {entry.attempt}"
    return ErrorReply(ErrorCode.NOT_FOUND, message, id=workload_id)


def ended_message(run: Run) -> str:
    """Return the message of a pending workload about its last run."""
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    why = f": {run.message}" if run.message else ""
    return f"the last run ended: {run.reason or run.state.value}{code}{why}"
