"""The metrics of the node, in pages for control planes."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import structlog
from kakuri_daemon import create_deferred_task
from kakuri_rpc import (
    MAX_METRICS_BYTES,
    ErrorCode,
    ErrorReply,
    Metrics,
    ReadMetrics,
    Reply,
)
from kakuri_workload.metrics import MetricFamily, merged, pages

from kakuri_agent.runtimes._protocol import Runtime, RuntimeFault

PAGE_SAMPLES = 1000
"""Series on a page: a page takes about a millisecond to write, and delays other requests by it."""

RUNTIME_SECONDS = 3.0
"""Seconds that the runtime may take to report its metrics, within the client's timeout."""

SNAPSHOT_SECONDS = 30.0
"""Seconds after which the pages of a snapshot that is not read to its end are dropped."""

MAX_SNAPSHOTS = 8
"""Maximum number of snapshots held at a time; each worker of a control plane reads one."""

Collector: TypeAlias = Callable[[], Iterable[MetricFamily]]
"""Returns the current metrics of a part of the process."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Snapshot:
    """The pages of one snapshot that were not read yet.

    Attributes:
        pages: The pages after `following`.
        following: The next page to read.
        next_page: Its number.
        expiry: Drops the snapshot.
    """

    pages: Iterator[list[MetricFamily]]
    following: list[MetricFamily]
    next_page: int
    expiry: asyncio.TimerHandle


class NodeMetrics:
    """Answers requests for metrics: those of this process and those of its runtime.

    The values are collected for the first page, once for all requests that wait for them. The
    following pages are kept until they are read, so that a series appears on exactly one page.
    """

    def __init__(self, runtime: Runtime, own_collectors: Sequence[Collector]) -> None:
        """Create the metrics of a node.

        Args:
            runtime: Has metrics of its own.
            own_collectors: Return the metrics of this process.
        """
        self._runtime = runtime
        self._own_collectors = own_collectors
        self._loop = asyncio.get_running_loop()
        self._collection: asyncio.Task[list[MetricFamily]] | None = None
        self._paging_lock = asyncio.Lock()
        self._snapshots: dict[int, _Snapshot] = {}
        self._latest = 0

    async def read(self, request: ReadMetrics) -> Reply:
        """Return the page that a request asks for."""
        if request.after is None:
            return await self._begin()
        number, _, next_page = request.after.partition(".")
        snapshot = self._snapshots.get(int(number)) if number.isdecimal() else None
        if snapshot is None or next_page != str(snapshot.next_page):
            message = "the metrics after this cursor are no longer kept; begin with the first page"
            return ErrorReply(ErrorCode.COMPACTED, message)
        return self._page(int(number), snapshot)

    def close(self) -> None:
        """Drop all pages that were not read."""
        if self._collection is not None:
            self._collection.cancel()
        for number in list(self._snapshots):
            self._drop(number)

    async def _begin(self) -> Reply:
        if self._collection is None:
            self._collection = create_deferred_task(self._collect())
        families = await asyncio.shield(self._collection)
        async with self._paging_lock:
            # Let other requests be answered between two first pages: each takes a millisecond, and
            # any number may be requested at the same time.
            await asyncio.sleep(0)
            return self._take_snapshot(families)

    async def _collect(self) -> list[MetricFamily]:
        """Return all metrics; takes tens of milliseconds for a large node."""
        of_runtime: Sequence[MetricFamily] = ()
        try:
            async with asyncio.timeout(RUNTIME_SECONDS):
                of_runtime = await self._runtime.metrics()
        except (RuntimeFault, TimeoutError) as error:  # its series are missing
            log.debug("metrics of the runtime are missing", error=str(error) or "timeout")
        finally:
            self._collection = None  # later requests get later values
        own = [family for collect in self._own_collectors for family in collect()]
        return merged([*own, *of_runtime])

    def _take_snapshot(self, families: Sequence[MetricFamily]) -> Reply:
        """Return the first page of a new snapshot, and keep the others."""
        taken = pages(families, max_samples=PAGE_SAMPLES, max_bytes=MAX_METRICS_BYTES)
        first = next(taken, [])
        following = next(taken, None)
        if following is None:
            return Metrics(first)
        while len(self._snapshots) >= MAX_SNAPSHOTS:
            self._drop(next(iter(self._snapshots)))
        self._latest = number = self._latest + 1
        expiry = self._loop.call_later(SNAPSHOT_SECONDS, self._drop, number)
        self._snapshots[number] = _Snapshot(taken, following, 1, expiry)
        return Metrics(first, f"{number}.1")

    def _page(self, number: int, snapshot: _Snapshot) -> Reply:
        page = snapshot.following
        following = next(snapshot.pages, None)
        if following is None:
            self._drop(number)
            return Metrics(page)
        snapshot.following = following
        snapshot.next_page += 1
        return Metrics(page, f"{number}.{snapshot.next_page}")

    def _drop(self, number: int) -> None:
        snapshot = self._snapshots.pop(number, None)
        if snapshot is not None:
            snapshot.expiry.cancel()
