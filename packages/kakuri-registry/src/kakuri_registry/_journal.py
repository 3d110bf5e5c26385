"""Writes what changes in a registry to its store, many changes at a time.

All changes of one pass of the event loop, and all that come while a write is under way, go to the
store together, from one thread of the journal's own: whoever needs to know waits for one write at
most, and a thousand who wait share it (group commit). What nobody waits for goes along with the
next write, or has one of its own a little later: it would only be in the way of others.

A write that fails takes no part back but the registrations in it: those workloads are withdrawn
from the registry, and who waits for them is told. Everything else stays as the registry has it and
is written again until it succeeds, so that a workload can be stopped while the disk is full.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Self

from kakuri_registry._errors import StoreError, StoreFailed, StoreFull
from kakuri_registry._feed import Change
from kakuri_registry._registry import WorkloadRegistry
from kakuri_registry._store import Store

_log = logging.getLogger("kakuri_registry")

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
"""How long a failed write waits before it is tried again; it doubles in between."""

UNHURRIED_SECONDS = 0.02
"""How long a change that nobody waits for may wait for others."""

JOURNAL_STEPS = ("journal.before-write", "journal.after-write", "journal.before-answer")
"""What `on_step` of a Journal is called with; the first two from the journal's thread."""


Told = Callable[[StoreError | None], None]
"""Is called with what became of a write; it raises nothing."""


class _Batch:
    """Changes that are written together, and who waits for them."""

    __slots__ = ("changes", "new", "waiting")

    def __init__(self) -> None:
        self.changes: dict[str, Change] = {}
        self.new: set[str] = set()
        # What a waiter asks for is one workload, or everything.
        self.waiting: list[tuple[str | None, Told]] = []


class Journal:
    """Keeps a store up to date with a registry. To be made and used on a running event loop.

    `on_step` is called with the name of each step (JOURNAL_STEPS), so that a test can end the
    process there.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        store: Store,
        *,
        on_step: Callable[[str], None] | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._on_step = on_step
        self._loop = asyncio.get_running_loop()
        self._open = _Batch()
        self._writing: _Batch | None = None
        self._is_due = False  # the open batch is written as soon as that can be
        self._unhurried: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY_SECONDS
        self._error: StoreError | None = None
        self._is_closed = False
        self._thread: ThreadPoolExecutor | None = None
        # A store that never waits gains nothing by batches.
        registry.subscribe(self._pass_on if store.is_instant else self._note)

    @property
    def error(self) -> StoreError | None:
        """Why the latest write failed, or None if it did not."""
        return self._error

    @property
    def backlog(self) -> int:
        """How many workloads have changes that are not in the store yet."""
        writing = () if self._writing is None else self._writing.changes
        return len({*self._open.changes, *writing})

    def is_saved(self, workload_id: str) -> bool:
        """Tell whether all that the registry knows of a workload is in the store."""
        if self._store.is_instant:
            return self._error is None  # who asks can only be told after the write
        return workload_id not in self._open.changes and (
            self._writing is None or workload_id not in self._writing.changes
        )

    async def saved(self, workload_id: str) -> None:
        """Wait until all that the registry knows now of a workload is in the store.

        Raises StoreFull or StoreFailed if it can't be: a workload that was to be registered is
        then withdrawn from the registry; any other change stands and is tried again later.
        """
        batch = self._batch_of(workload_id)
        if batch is not None:
            await self._answer_to(workload_id, batch)

    def when_saved(self, workload_id: str, told: Told) -> None:
        """Do as `saved` does, with a call in place of a wait: for whoever has many of them.

        `told` is called with None, or with what `saved` would raise; at once if there is nothing
        to wait for.
        """
        batch = self._batch_of(workload_id)
        if batch is None:
            told(None)
        else:
            self._wait(batch, workload_id, told)

    async def flushed(self) -> None:
        """Wait until everything that the registry knows now is in the store.

        Raises StoreFull or StoreFailed if not all of it can be; see `saved`.
        """
        answers = [
            self._answer_to(None, batch)
            for batch in (self._writing, self._open)
            if batch is not None and batch.changes
        ]
        for result in await asyncio.gather(*answers, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """Write what is left and end. The store stays open, for its owner to close.

        Raises StoreFull or StoreFailed if something can't be written even at the second try; it
        is lost then.
        """
        try:
            try:
                await self.flushed()
            except StoreError:
                await self.flushed()  # what was refused for good is withdrawn by now
        finally:
            self._is_closed = True
            self._registry.subscribe(None)
            for timer in (self._retry, self._unhurried):
                if timer is not None:
                    timer.cancel()
            if self._thread is not None:
                self._thread.shutdown()  # so that nobody closes the store under a write

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Journal backlog={self.backlog} error={self._error!r}>"

    def _pass_on(self, change: Change) -> None:
        self._store.write((change,))

    def _note(self, change: Change) -> None:
        batch = self._open
        if change.is_new:
            batch.new.add(change.workload_id)
        elif change.workload_id in batch.new and change.entry is not None:
            change = change._replace(is_new=True)  # to the store it still is
        batch.changes[change.workload_id] = change
        if self._unhurried is None:
            self._unhurried = self._loop.call_later(UNHURRIED_SECONDS, self._make_due)

    def _wait(self, batch: _Batch, workload_id: str | None, told: Told) -> None:
        batch.waiting.append((workload_id, told))
        if batch is self._open and not self._is_due:
            self._make_due()

    def _make_due(self) -> None:
        self._is_due = True
        self._loop.call_soon(self._begin)

    def _batch_of(self, workload_id: str) -> _Batch | None:
        """Give the batch with the latest change of a workload that is not in the store yet."""
        for batch in (self._open, self._writing):
            if batch is not None and workload_id in batch.changes:
                return batch
        return None

    def _answer_to(self, workload_id: str | None, batch: _Batch) -> asyncio.Future[None]:
        # A future each: were it shared, one waiter that is cancelled would take it from all.
        future: asyncio.Future[None] = self._loop.create_future()
        self._wait(batch, workload_id, partial(_resolve, future))
        return future

    def _begin(self) -> None:
        """Write the open batch."""
        if self._writing is not None or self._is_closed:
            return
        self._is_due = False
        if not self._open.changes:
            return
        for timer in (self._retry, self._unhurried):
            if timer is not None:
                timer.cancel()
        self._retry = self._unhurried = None
        batch, self._open = self._open, _Batch()
        self._writing = batch
        changes = list(batch.changes.values())
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="kakuri-journal")
        written = self._loop.run_in_executor(self._thread, self._write, changes)
        written.add_done_callback(lambda future: self._end(batch, future.exception()))

    def _write(self, changes: Sequence[Change]) -> None:
        if self._on_step is not None:
            self._on_step("journal.before-write")
        self._store.write(changes)
        if self._on_step is not None:
            self._on_step("journal.after-write")

    def _end(self, batch: _Batch, error: BaseException | None) -> None:
        """Tell who waits what became of a batch, and go on to the next."""
        if self._on_step is not None:
            self._on_step("journal.before-answer")
        self._writing = None
        if error is None:
            if self._error is not None:
                _log.info("the store takes changes again")
            self._error = None
            self._delay = FIRST_RETRY_SECONDS
            _answer(batch.waiting, None)
        else:
            self._fail(batch, error)
        if self._open.changes and self._retry is None and self._unhurried is None:
            self._unhurried = self._loop.call_later(UNHURRIED_SECONDS, self._make_due)
        if self._is_due or self._open.waiting:
            self._make_due()

    def _fail(self, batch: _Batch, error: BaseException) -> None:
        if not isinstance(error, StoreError):
            error = StoreFailed(f"the store failed: {error!r}")
        if str(error) != str(self._error):  # once, however often it is tried again
            _log.error("the store takes no changes: %s", error)
        self._error = error
        later = self._open
        for workload_id in batch.new - later.new:  # unless it was registered anew since
            if workload_id in self._registry:
                self._registry.remove(workload_id)
        for workload_id, change in batch.changes.items():
            # A removal may be of what an earlier batch has brought to the disk.
            if workload_id not in batch.new or change.entry is None:
                later.changes.setdefault(workload_id, change)
        if batch.new:
            # The rest may well succeed without the registrations, so its waiters wait on.
            refused: list[tuple[str | None, Told]] = []
            for waiter in batch.waiting:
                is_refused = waiter[0] is None or waiter[0] in batch.new
                (refused if is_refused else later.waiting).append(waiter)
            _answer(refused, error)
            return
        _answer(batch.waiting, error)
        self._retry = self._loop.call_later(self._delay, self._begin)
        self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)


def _answer(waiting: list[tuple[str | None, Told]], error: StoreError | None) -> None:
    for _, told in waiting:
        told(None if error is None else _own(error))


def _resolve(future: asyncio.Future[None], error: StoreError | None) -> None:
    if future.done():
        return  # its waiter was cancelled
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _own(error: StoreError) -> StoreError:
    """Give one waiter an error of its own: each raise adds a traceback to the object."""
    told = StoreFull(str(error)) if isinstance(error, StoreFull) else StoreFailed(str(error))
    told.__cause__ = error
    return told
