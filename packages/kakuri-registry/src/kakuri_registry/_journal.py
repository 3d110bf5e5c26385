"""Writes what changes in a registry to its store, many changes at a time.

All changes of one pass of the event loop, and all that come while a write is under way, go to the
store together, from one thread of the journal's own: whoever needs to know waits for one write at
most, and a thousand who wait share it (group commit). What nobody waits for stays behind a little,
to go together or not at all if it changes again: it would only be in the way of others.

A write that fails takes no part back but the registrations in it: those workloads are withdrawn
from the registry, and who waits for them is told. Everything else stays as the registry has it and
is written again until it succeeds, so that a workload can be stopped while the disk is full.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
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
"""How long a change that nobody waits for stays behind."""

JOURNAL_STEPS = ("journal.before-write", "journal.after-write", "journal.before-answer")
"""What `on_step` of a Journal is called with; the first two from the journal's thread."""


Told = Callable[[StoreError | None], None]
"""Is called with what became of a write; it raises nothing."""

EVERYTHING = ""
THE_REST = "*"
"""No ids: in place of one, what a waiter waits for. The rest is all but what was refused."""


class _Batch:
    """Changes that are written together, and who waits for them."""

    __slots__ = ("changes", "new", "waiting")

    def __init__(self) -> None:
        self.changes: dict[str, Change] = {}
        self.new: set[str] = set()
        # What a waiter asks for is one workload, EVERYTHING or THE_REST.
        self.waiting: list[tuple[str, Told]] = []

    def note(self, change: Change) -> None:
        """Take the latest change of a workload."""
        if change.is_new:
            self.new.add(change.workload_id)
        elif change.workload_id in self.new and change.entry is not None:
            change = change._replace(is_new=True)  # to the store it still is
        self.changes[change.workload_id] = change


class Journal:
    """Keeps a store up to date with a registry. To be made and used on a running event loop.

    `on_step` is called with the name of each step (JOURNAL_STEPS), so that a test can end the
    process there. `executor` runs the writes, one at a time; it is a thread unless one is given.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        store: Store,
        *,
        on_step: Callable[[str], None] | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._on_step = on_step
        self._loop = asyncio.get_running_loop()
        # From the unhurried to the open ones, once somebody waits or has waited; then in writing.
        self._unhurried = _Batch()
        self._open = _Batch()
        self._writing: _Batch | None = None
        self._next: asyncio.Handle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY_SECONDS
        self._error: StoreError | None = None
        self._logged = ""
        self._is_closed = False
        self._executor = executor
        # A store that never waits gains nothing by batches.
        registry.subscribe(self._pass_on if store.is_instant else self._note)

    @property
    def error(self) -> StoreError | None:
        """Why the store takes nothing at the time, or None if it does.

        A store that refuses new workloads only takes what there is of the others.
        """
        return self._error

    @property
    def backlog(self) -> int:
        """How many workloads have changes that are not in the store yet."""
        writing = () if self._writing is None else self._writing.changes
        return len({*self._unhurried.changes, *self._open.changes, *writing})

    def is_saved(self, workload_id: str) -> bool:
        """Tell whether all that the registry knows of a workload is in the store."""
        if self._store.is_instant:
            return self._error is None  # who asks can only be told after the write
        return (
            workload_id not in self._open.changes
            and workload_id not in self._unhurried.changes
            and (self._writing is None or workload_id not in self._writing.changes)
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
        await self._all(EVERYTHING)

    async def settled(self) -> None:
        """Do as `flushed`, but for workloads that the store refuses: those are withdrawn.

        Raises StoreFull or StoreFailed if the store takes nothing.
        """
        await self._all(THE_REST)

    async def _all(self, what: str) -> None:
        self._hurry_all()
        answers = [
            self._answer_to(what, batch)
            for batch in (self._writing, self._open)
            if batch is not None and batch.changes
        ]
        for result in await asyncio.gather(*answers, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    def is_new(self, workload_id: str) -> bool:
        """Tell whether a workload's registration is not in the store yet, and may be withdrawn."""
        return any(
            batch is not None and workload_id in batch.new
            for batch in (self._unhurried, self._open, self._writing)
        )

    async def close(self) -> None:
        """Write what is left and end. The store stays open, for its owner to close.

        Raises StoreFull or StoreFailed if something can't be written even at the second try; it
        is lost then.
        """
        try:
            try:
                await self.settled()
            except StoreError:
                await self.settled()
        finally:
            self._is_closed = True
            self._registry.subscribe(None)
            for timer in (self._retry, self._patience):
                if timer is not None:
                    timer.cancel()
            if self._executor is not None:
                self._executor.shutdown()  # so that nobody closes the store under a write

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Journal backlog={self.backlog} error={self._error!r}>"

    def _pass_on(self, change: Change) -> None:
        self._store.write((change,))

    def _note(self, change: Change) -> None:
        workload_id = change.workload_id
        batch = self._open if workload_id in self._open.changes else self._unhurried
        batch.note(change)
        if batch is self._unhurried and self._patience is None:
            self._patience = self._loop.call_later(UNHURRIED_SECONDS, self._lose_patience)

    def _hurry(self, workload_id: str) -> None:
        """Move a change to the open batch."""
        unhurried = self._unhurried
        self._open.changes[workload_id] = unhurried.changes.pop(workload_id)
        if workload_id in unhurried.new:
            unhurried.new.discard(workload_id)
            self._open.new.add(workload_id)

    def _hurry_all(self) -> None:
        self._open.changes.update(self._unhurried.changes)
        self._open.new.update(self._unhurried.new)
        self._unhurried = _Batch()

    def _lose_patience(self) -> None:
        self._patience = None
        self._hurry_all()
        if self._retry is None:
            self._begin_soon()

    def _wait(self, batch: _Batch, workload_id: str, told: Told) -> None:
        batch.waiting.append((workload_id, told))
        if batch is self._open:
            self._begin_soon()

    def _batch_of(self, workload_id: str) -> _Batch | None:
        """Give the batch with the latest change of a workload that is not in the store yet."""
        if workload_id in self._unhurried.changes:
            self._hurry(workload_id)
        for batch in (self._open, self._writing):
            if batch is not None and workload_id in batch.changes:
                return batch
        return None

    def _answer_to(self, workload_id: str, batch: _Batch) -> asyncio.Future[None]:
        # A future each: were it shared, one waiter that is cancelled would take it from all.
        future: asyncio.Future[None] = self._loop.create_future()
        self._wait(batch, workload_id, partial(_resolve, future))
        return future

    def _begin_soon(self) -> None:
        """Write the open batch with all that this pass of the event loop still brings."""
        if self._writing is None and self._next is None:
            self._next = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Write the open batch."""
        self._next = None
        if self._writing is not None or self._is_closed or not self._open.changes:
            return
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        batch, self._open = self._open, _Batch()
        self._writing = batch
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="kakuri-journal")
        self._executor.submit(self._write, batch, list(batch.changes.values()))

    def _write(self, batch: _Batch, changes: Sequence[Change]) -> None:
        error: BaseException | None = None
        try:
            self._step("journal.before-write")
            self._store.write(changes)
            self._step("journal.after-write")
        except BaseException as failure:  # noqa: BLE001 (it is told to who waits)
            error = failure
        self._loop.call_soon_threadsafe(self._end, batch, error)

    def _end(self, batch: _Batch, error: BaseException | None) -> None:
        """Tell who waits what became of a batch, and go on to the next."""
        self._step("journal.before-answer")
        self._writing = None
        if error is not None:
            self._fail(batch, error)
            if self._open.waiting:
                self._begin_soon()
            return
        if self._logged and (batch.new or self._error is not None):
            self._logged = ""
            _log.info("the store takes changes again")
        self._error = None
        self._delay = FIRST_RETRY_SECONDS
        self._begin()  # the disk has work while answers leave
        _answer(batch.waiting, None)

    def _step(self, name: str) -> None:
        if self._on_step is not None:
            self._on_step(name)

    def _fail(self, batch: _Batch, error: BaseException) -> None:
        if not isinstance(error, StoreError):
            error = StoreFailed(f"the store failed: {error!r}")
        if str(error) != self._logged:  # once, however often it is tried again
            self._logged = str(error)
            what = "new workloads" if batch.new else "changes"
            _log.error("the store takes no %s: %s", what, error)
        # Those that were registered anew since stand.
        withdrawn = batch.new - self._open.new - self._unhurried.new
        for workload_id in withdrawn:
            if workload_id in self._registry:
                self._registry.remove(workload_id)
        self._hurry_all()
        later = self._open
        for workload_id, change in batch.changes.items():
            # A removal may be of what an earlier batch has brought to the disk.
            if workload_id not in batch.new or change.entry is None:
                later.changes.setdefault(workload_id, change)
        if batch.new:
            # The rest may well succeed without the registrations, so its waiters wait on.
            asked = {EVERYTHING, *batch.new}
            refused = [each for each in batch.waiting if each[0] in asked]
            refused += [each for each in later.waiting if each[0] in withdrawn]
            kept = [each for each in batch.waiting if each[0] not in asked]
            later.waiting = kept + [each for each in later.waiting if each[0] not in withdrawn]
            self._begin_soon()
            _answer(refused, error)
            return
        self._error = error
        _answer(batch.waiting, error)
        self._retry = self._loop.call_later(self._delay, self._begin)
        self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)


def _answer(waiting: list[tuple[str, Told]], error: StoreError | None) -> None:
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
