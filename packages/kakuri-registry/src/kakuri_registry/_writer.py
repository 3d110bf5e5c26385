"""Writes the changes of a registry to its store, many changes in one transaction (group commit).

Changes that a caller awaits are written as soon as the store is idle: all changes made in one turn
of the event loop, and all made during the previous write, in one call on the writer's thread. So a
caller waits for two writes at most, and a thousand callers share one. `_next_write` tells when a
write is delayed by up to a millisecond. Changes that no caller awaits are delayed by 20 ms, so that
they share a transaction and do not delay others; one superseded in that time is never written.

A full store may refuse new workloads but still accept changes of known ones. So after a failed
write, registrations and other changes are written separately until a registration succeeds. A
failed registration is withdrawn from the registry, and its callers get the error. Any other change
is retried until it is written, so workloads can be stopped while the disk is full.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Self, TypeAlias

from kakuri_registry._backlog import Backlog, Batch, OnSaved, kinds, take_callbacks
from kakuri_registry._change import Change
from kakuri_registry._durability import Durability
from kakuri_registry._errors import StoreError, StoreFailed, StoreFull, store_error
from kakuri_registry._journal_writer import JournalWriter
from kakuri_registry._next_write import NextWrite
from kakuri_registry._outcomes import OnWrite, after_all, copy_error, ignore_write, log_change
from kakuri_registry._registry import WorkloadRegistry
from kakuri_registry._store import Failpoint, Store, check_store_members, no_failpoint
from kakuri_registry._store_probe import StoreProbe
from kakuri_registry._stored_tombstones import StoredTombstones
from kakuri_registry._tidier import Tidier
from kakuri_registry._tombstones import Tombstone
from kakuri_registry._writer_thread import WriterThread, reporting

_Outcome: TypeAlias = "asyncio.Future[StoreError | None]"

_SAVED = Durability.SAVED  # looking up a member of an enum is slow

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0
"""Delay before a failed write is retried; it doubles with each failure."""

BATCH_DELAY_SECONDS = 0.02
"""Delay before changes that no caller awaits are written, so that they share a transaction."""

WRITER_FAILPOINTS = ("writer.before-write", "writer.after-write", "writer.before-answer")
"""The failpoints of a StoreWriter; the first two are on the writer's thread."""


class StoreWriter:
    """Writes the changes of a registry to a store.

    Create and use it on a running event loop. Until it is closed, it is the registry's subscriber,
    only the thread of the loop may change the registry, and nothing else may call the store's
    `write` and `tidy`. Changes of the registry while it has no writer are not stored.

    Attributes:
        on_write: Called on the event loop after each write, with the number of its changes, its
            duration in seconds and its error.

    Example:
        async with StoreWriter(registry, store) as writer:
            registry.register(workload, now=time.time())
            await writer.saved(workload.id)  # on disk: survives a crash of process and machine
            registry.update(workload.id, Run(WorkloadState.RUNNING), now=time.time())
            assert writer.durability(workload.id) is Durability.PENDING
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        store: Store,
        *,
        failpoint: Failpoint = no_failpoint,
        executor: Executor | None = None,
    ) -> None:
        """Subscribe to a registry.

        Args:
            registry: The registry whose changes to write.
            store: The store to write to. The caller closes it, after this writer.
            failpoint: Called at each of `WRITER_FAILPOINTS`, for crash tests.
            executor: Runs the writes, one at a time; its owner shuts it down. None to use a
                separate thread.

        Raises:
            RuntimeError: No event loop is running, or the registry has another subscriber.
            TypeError: The store lacks a member of `Store`.
        """
        check_store_members(store)
        self._registry = registry
        self._store = store
        self._failpoint = failpoint
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog()
        self._journal_writer = JournalWriter(store, registry.journal)
        self._next_write = NextWrite(self._backlog, self._begin_write)
        self._batch_timer: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._retry_delay = FIRST_RETRY_SECONDS
        self._write_began = self._failed_at = 0.0
        self._flushing: list[_Outcome] = []  # callers that share one wait for known workloads
        self._error: StoreError | None = None
        self._registration_error: StoreError | None = None
        self.on_write: OnWrite = ignore_write
        self._executor: Executor | WriterThread | None = executor
        self._own_thread: WriterThread | None = None  # ends with this writer
        self._is_closed = False
        self._tidier = Tidier(store, self._submit)
        self._tombstones = StoredTombstones(store, self._submit)
        if not self._journal_writer.write_through(registry):
            registry.subscribe(self._add)
        self._probe = StoreProbe(store, self._submit, self._end_probe, self._stall)

    @property
    def error(self) -> StoreError | None:
        """Why the store accepts no changes, not even of known workloads, or None."""
        return self._error

    @property
    def registration_error(self) -> StoreError | None:
        """Why the store would refuse a registration, as far as is known, or None."""
        return self._registration_error

    @property
    def backlog(self) -> int:
        """The number of workloads with changes that are not in the store."""
        ids = self._backlog.ids
        return len(ids) - ("" in ids)  # which stands for events of the node

    def durability(self, workload_id: str) -> Durability:
        """Return whether the store has a workload's latest state.

        A workload that was removed, or never registered, is `SAVED` unless its removal has yet to
        be written.
        """
        if not self._backlog.has(workload_id):
            return _SAVED
        if self._backlog.has_registration(workload_id):
            return Durability.UNREGISTERED
        return Durability.PENDING if self._error is None else Durability.BLOCKED

    async def saved(self, workload_id: str) -> None:
        """Wait until the store has a workload's current state.

        Returns immediately if it already has. Cancelling the wait does not cancel the write. After
        `register`, call this before the next `await`: if the store has refused the registration by
        then, the workload is no longer in the registry, and this would return without an error.

        Args:
            workload_id: The workload; it may have been removed from the registry.

        Raises:
            StoreFull: The store has no room. A registration has been withdrawn from the registry;
                any other change remains and is retried.
            StoreFailed: The store could not write, with the same consequences.
        """
        if self._backlog.has(workload_id):
            await self._all_saved([workload_id])

    def when_saved(self, workload_id: str, on_saved: OnSaved) -> None:
        """Call a function once the store has a workload's current state.

        The same as `saved`, for callers with too many workloads to create a task for each.

        Args:
            workload_id: The workload.
            on_saved: Called with None, or with the error that `saved` would raise; immediately, if
                there is nothing to wait for. It must not raise.
        """
        if not self._backlog.has(workload_id):
            on_saved(None)
            return
        self._backlog.add_callback(workload_id, on_saved)
        if self._retry is not None and not self._backlog.has_registration(workload_id):
            # The disk may have room by now, so retry earlier, but not once for each caller.
            self._retry.cancel()
            self._retry = self._loop.call_at(self._failed_at + FIRST_RETRY_SECONDS, self._retry_now)
        self._next_write.schedule()

    async def flushed(self, *, registrations: bool = True) -> None:
        """Wait until the store has the registry's current state.

        Args:
            registrations: Whether to wait for workloads that are `UNREGISTERED`, too. If not,
                concurrent callers share one wait, because many clients may list workloads at the
                same time.

        Raises:
            StoreFull: The store has no room for all changes; see `saved`.
            StoreFailed: The store could not write them; see `saved`.
        """
        if registrations:
            await self._all_saved(self._backlog.ids)
            return
        backlog = self._backlog
        known: list[str] = []
        if not self._flushing:
            known = [each for each in backlog.ids if not backlog.has_registration(each)]
            if not known:
                return
        future: _Outcome = self._loop.create_future()
        self._flushing.append(future)
        if known:
            self._set_when_all_saved(known, self._flushing)
        if (error := await future) is not None:
            raise copy_error(error)

    async def removed_log(self, tombstone: Tombstone) -> bytes:
        """Return the end of a removed workload's log; empty if the store has none.

        Raises:
            StoreFailed: The store can't be read, or the writer is closed.
        """
        pending = self._backlog.tombstone(tombstone.entry.workload.id)
        if pending is not None and pending.tombstone is tombstone:
            return pending.log
        return await self._tombstones.log(tombstone.version)

    def drop_removed_before(self, time: float) -> None:
        """Drop the tombstones of workloads removed before a time, from memory and the store.

        If the store can't be written, its tombstones are deleted the next time.
        """
        oldest = self._registry.drop_removed_before(time)
        if oldest is None:
            return
        self._tombstones.drop(oldest)
        if not self._store.is_nonblocking:
            self._tidier.schedule()

    async def close(self) -> None:
        """Write the remaining changes, and unsubscribe from the registry.

        The store stays open. Closing again has no effect.

        Raises:
            StoreFull: Some changes could not be written at the second attempt and are lost.
            StoreFailed: The same, for another reason.
        """
        try:
            has_failed = False
            while self._backlog.ids:
                try:
                    await self.flushed()
                except StoreError:  # refused registrations have been withdrawn: try the rest again
                    if has_failed:
                        raise
                    has_failed = True
        finally:
            self._stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<StoreWriter backlog={self.backlog} error={self._error!r}>"

    def _add(self, change: Change) -> None:
        self._backlog.add(change)
        if self._flushing:
            self._flushing = []  # later callers of `flushed` have to wait for this change, too
        if self._batch_timer is None:
            self._batch_timer = self._loop.call_later(BATCH_DELAY_SECONDS, self._flush_batch)

    def _flush_batch(self) -> None:
        self._batch_timer = None
        self._backlog.is_batch_due = True
        self._next_write.schedule()

    async def _all_saved(self, workload_ids: Collection[str]) -> None:
        """Wait until the store has some workloads. Raises the first error."""
        if not workload_ids:
            return
        future: _Outcome = self._loop.create_future()
        self._set_when_all_saved(workload_ids, [future])
        if (error := await future) is not None:
            raise error

    def _set_when_all_saved(self, workload_ids: Collection[str], futures: list[_Outcome]) -> None:
        """Set futures to the first error, or None, once all of the workloads have been written."""

        def set_all(error: StoreError | None) -> None:
            if futures is self._flushing:
                self._flushing = []
            for future in futures:
                if not future.done():  # its caller may have been cancelled
                    future.set_result(error)

        on_saved = after_all(len(workload_ids), set_all)
        for workload_id in workload_ids:
            self.when_saved(workload_id, on_saved)

    def _begin_write(self) -> None:
        if self._backlog.writing:
            return
        if self._backlog.take(only_registrations=self._retry is not None):
            self._write_began = self._loop.time()
            changes = self._journal_writer.with_events(self._backlog.writing)
            try:
                self._submit(reporting(self._loop, partial(self._write, changes), self._end_write))
            except RuntimeError as error:  # no thread can be started
                self._loop.call_soon(self._end_write, None, error)

    def _submit(self, work: Callable[[], None]) -> None:
        if self._executor is None:
            self._executor = self._own_thread = WriterThread()
        self._executor.submit(work)

    def _write(self, changes: Sequence[Change]) -> None:
        self._failpoint("writer.before-write")
        self._journal_writer.compact()
        self._store.write(changes)
        self._failpoint("writer.after-write")

    def _end_write(self, _result: None, error: BaseException | None) -> None:
        """Handle the outcome of a write, begin the next one, and notify callers."""
        self._failpoint("writer.before-answer")
        batch = self._backlog.end_write()
        self.on_write(len(batch), self._loop.time() - self._write_began, error)
        if error is None:
            self._journal_writer.publish()
            self._succeed(batch)
            callbacks = take_callbacks(batch)
        else:
            callbacks = self._fail(batch, error := store_error(error))
        self._next_write.start()  # so that the disk is busy while callers are notified
        for on_saved in callbacks:
            on_saved(None if error is None else copy_error(error))

    def _succeed(self, batch: Batch) -> None:
        if any(each.change.entry is None for each in batch.values()):
            self._tidier.schedule()
        has_registrations, has_others = kinds(batch)
        if has_registrations:
            self._backlog.splits_registrations = False
            self._registration_error = log_change("new workloads", self._registration_error, None)
        if has_others or self._retry is None:  # a registration shows that a hanging disk answers
            self._error = log_change("changes", self._error, None)
            self._retry_delay = FIRST_RETRY_SECONDS
        if self._retry is not None:
            self._retry.cancel()
            self._retry_now()

    def _fail(self, batch: Batch, error: StoreError) -> list[OnSaved]:
        """Handle the changes that were not written; return the callbacks to call with the error."""
        backlog = self._backlog
        backlog.splits_registrations = True
        has_registrations, has_others = kinds(batch)
        if has_registrations and has_others:
            backlog.put_back(batch)  # writing each kind alone shows which of them fails
            return []
        if has_registrations:
            self._registration_error = log_change("new workloads", self._registration_error, error)
            return backlog.withdraw(batch, self._unregister)
        self._error = log_change("changes", self._error, error)
        callbacks = take_callbacks(batch)
        backlog.put_back(batch)
        self._failed_at = self._loop.time()
        self._retry = self._loop.call_at(self._failed_at + self._retry_delay, self._retry_now)
        self._retry_delay = min(2 * self._retry_delay, LONGEST_RETRY_SECONDS)
        return callbacks

    def _end_probe(self, error: StoreError | None, full: StoreFull | None) -> None:
        if not self._backlog.writing and self._retry is None:  # otherwise, a write reports the same
            self._error = log_change("changes", self._error, error)
            refused = self._registration_error
            if error is None and not isinstance(refused, StoreFailed):
                self._registration_error = log_change("new workloads", refused, full)

    def _stall(self, error: StoreError) -> None:
        self._error = log_change("changes", self._error, error)

    def _unregister(self, workload_id: str) -> None:
        if workload_id in self._registry:
            self._registry.withdraw(workload_id)

    def _retry_now(self) -> None:
        self._retry = None
        self._backlog.is_batch_due = True
        self._next_write.schedule()

    def _stop(self) -> None:
        if self._is_closed:
            return  # the registry may have another writer by now
        self._is_closed = True
        self._registry.subscribe(None)
        self._tidier.close()
        self._probe.close()
        self._next_write.cancel()
        for timer in (self._retry, self._batch_timer):
            if timer is not None:
                timer.cancel()
        if self._own_thread is not None:
            self._own_thread.shutdown()  # so that the store is not closed during a write
        for on_saved in self._backlog.clear():
            on_saved(StoreFailed("the store writer is closed"))
