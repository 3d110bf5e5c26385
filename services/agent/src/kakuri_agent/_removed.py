"""Replies about removed workloads, from the tombstones that are kept for the retention time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kakuri_registry import StoreError, StoreWriter, WorkloadRegistry
from kakuri_rpc import (
    ErrorCode,
    ErrorReply,
    GetHistory,
    GetStatus,
    History,
    ListWorkloads,
    Log,
    ReadLog,
    Reply,
    WorkloadList,
)
from kakuri_workload import (
    LOG_GAP,
    LogRecord,
    LogSelection,
    read_records,
    select_records,
    write_record,
)

from kakuri_agent._replies import (
    no_attempt,
    not_removed,
    page_builder,
    removed_status_of,
    selection_of,
)

READ_SECONDS = 3.0
"""Seconds that the store may take to return a log, for example while it writes: less than the
client's timeout."""


class RemovedWorkloads:
    """Answers requests about removed workloads.

    Args:
        registry: Has their tombstones.
        writer: Reads their logs from the store.
    """

    def __init__(self, registry: WorkloadRegistry, writer: StoreWriter) -> None:
        self._registry = registry
        self._writer = writer

    def status(self, request: GetStatus) -> Reply:
        """Return the last status of a removed workload."""
        tombstone = self._registry.tombstone(request.id)
        if tombstone is None:
            return not_removed(request.id)
        return removed_status_of(
            tombstone, with_version=request.with_version, detail=request.detail
        )

    def history(self, request: GetHistory) -> Reply:
        """Return the transitions of a removed workload."""
        tombstone = self._registry.tombstone(request.id)
        if tombstone is None:
            return not_removed(request.id)
        return History.of(request.id, self._registry.tombstone_history(tombstone))

    def page(self, request: ListWorkloads) -> Callable[[], WorkloadList]:
        """Return a function that builds a page of removed workloads."""
        state, label = selection_of(request)
        found = self._registry.removed_page(
            state=state, label=label, after=request.after, limit=request.limit + 1
        )
        page = found[: request.limit]
        following = page[-1].entry.workload.id if len(found) > len(page) else None
        build_status = partial(removed_status_of, detail=request.detail)
        return page_builder(page, following, build_status, detail=request.detail)

    async def read_log(self, request: ReadLog) -> Reply:
        """Return the end of the log of a removed workload, which fits into one reply."""
        with suppress(StoreError):
            await self._writer.saved(request.id)
        tombstone = self._registry.tombstone(request.id)
        if tombstone is None:
            return not_removed(request.id)
        attempt = None if request.records is None else request.records.attempt
        if attempt is not None and attempt > tombstone.entry.attempt:
            return no_attempt(request.id, attempt, tombstone.entry)
        end = f"removed-{tombstone.version}"
        if request.after is not None:
            if request.after == end:
                return Log(b"", end, ended=True)
            message = f"expected the cursor {end!r} of this log, got {request.after!r}"
            return ErrorReply(ErrorCode.BAD_REQUEST, message, id=request.id)
        try:
            async with asyncio.timeout(READ_SECONDS):
                log = await self._writer.removed_log(tombstone)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or f"no answer within {READ_SECONDS:g} s"
            message = f"the log of the removed workload can't be read: {reason}"
            return ErrorReply(ErrorCode.INTERNAL, message, id=request.id)
        try:
            return Log(_selected(log, request), end, ended=True)
        except ValueError as error:
            message = f"the log of the removed workload is damaged: {error}"
            return ErrorReply(ErrorCode.INTERNAL, message, id=request.id)


def _selected(log: bytes, request: ReadLog) -> bytes:
    """Return the part of a log that a request selects: as records, or as the container's bytes."""
    selection = request.records or LogSelection()
    records = list(select_records(read_records(log), selection))
    if request.tail is not None:
        records = _last_lines(records, request.tail)
    if request.records is None:
        return b"".join(each.text for each in records if each is not None)
    return b"".join(LOG_GAP if each is None else write_record(each) for each in records)


def _last_lines(records: list[LogRecord | None], number: int) -> list[LogRecord | None]:
    """Return the records of the last lines; an incomplete one counts."""
    found = 0
    for index in range(len(records) - 1, -1, -1):
        record = records[index]
        is_end = record is not None and not record.is_partial
        found += is_end or index == len(records) - 1
        if found > number:
            return records[index + 1 :]
    return records
