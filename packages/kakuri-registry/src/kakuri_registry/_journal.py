"""Writes what changes in a registry to its store, many changes at a time.

What somebody waits for is written as soon as the store is free: all changes of one pass of the
event loop, and all that came while a write was under way, together, from one thread of the
journal's own. So whoever waits waits for two writes at most, and a thousand who wait share one
(group commit). What nobody waits for stays behind a little, to go together, or not at all if it
changes again: it would only be in the way of others.

A store may have no room for new workloads and still take changes of others. So once a write has
failed, the two are written apart until it takes new ones again. A registration that fails is
withdrawn from the registry, and who waits for it is told. Everything else stays as the registry
has it and is written again until it succeeds, so that a workload can be stopped while the disk is
full.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
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


class _Pending:
    """The latest change of a workload that is not in the store, and who waits for it.

    It is a return if it registers a workload that the store may still have from before.
    """

    __slots__ = ("change", "is_return", "waiting")

    def __init__(self, change: Change, *, is_return: bool) -> None:
        self.change = change
        self.is_return = is_return
        self.waiting: list[Told] = []

    def becomes(self, change: Change) -> None:
        """Take a later change in its place."""
        if self.change.is_new and change.entry is not None:
            change = change._replace(is_new=True)  # to the store it still is
        self.is_return |= change.is_new and self.change.entry is None
        self.change = change


class Journal:
    """Keeps a store up to date with a registry. To be made and used on a running event loop.

    `on_step` is called with the name of each step (JOURNAL_STEPS), so that a test can end the
    process there. `executor` runs the writes, one at a time, and stays its owner's; without one
    the journal has a thread.
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
        self._pending: dict[str, _Pending] = {}
        self._hurried: dict[str, None] = {}  # the pending ones that somebody waits for
        self._writing: dict[str, _Pending] = {}
        self._is_due = False  # all that is pending is to be written, hurried or not
        self._is_apart = False  # registrations are written apart from other changes
        self._next: asyncio.Handle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY_SECONDS
        self._failed_at = 0.0
        self._error: StoreError | None = None
        self._refusal: StoreError | None = None
        self._is_closed = False
        self._executor = executor
        self._thread: ThreadPoolExecutor | None = None
        # A store that never waits gains nothing by batches.
        registry.subscribe(self._pass_on if store.is_instant else self._note)

    @property
    def error(self) -> StoreError | None:
        """Why the store takes nothing, not even of the workloads that it has; None if it does."""
        return self._error

    @property
    def refusal(self) -> StoreError | None:
        """Why the store did not take the latest new workload; None if it did."""
        return self._refusal

    @property
    def backlog(self) -> int:
        """How many workloads have changes that are not in the store yet."""
        return len(self._pending.keys() | self._writing.keys())

    def is_saved(self, workload_id: str) -> bool:
        """Tell whether all that the registry knows of a workload is in the store."""
        return workload_id not in self._pending and workload_id not in self._writing

    def is_settled(self, workload_id: str) -> bool:
        """Tell whether waiting would change nothing: it is saved, or the store takes nothing."""
        return self.is_saved(workload_id) or (
            self._error is not None and not self.is_new(workload_id)
        )

    def is_new(self, workload_id: str) -> bool:
        """Tell whether a workload's registration is not in the store yet, and may be withdrawn."""
        return any(
            workload_id in those and those[workload_id].change.is_new
            for those in (self._pending, self._writing)
        )

    async def saved(self, workload_id: str) -> None:
        """Wait until all that the registry knows now of a workload is in the store.

        Raises StoreFull or StoreFailed if it can't be: a workload that was to be registered is
        then withdrawn from the registry; any other change stands and is tried again later.
        """
        await self._all_saved([] if self.is_saved(workload_id) else [workload_id])

    def when_saved(self, workload_id: str, told: Told) -> None:
        """Do as `saved` does, with a call in place of a wait: for whoever has many of them.

        `told` is called with None, or with what `saved` would raise; at once if there is nothing
        to wait for.
        """
        pending = self._pending.get(workload_id)
        if pending is not None:
            pending.waiting.append(told)
            self._hurry(workload_id)
        elif workload_id in self._writing:
            self._writing[workload_id].waiting.append(told)
        else:
            told(None)

    async def flushed(self) -> None:
        """Wait until everything that the registry knows now is in the store.

        Raises StoreFull or StoreFailed if not all of it can be; see `saved`.
        """
        await self._all_saved([*self._pending.keys() | self._writing.keys()])

    async def settled(self) -> None:
        """Do as `flushed`, but for workloads that are new: those the store may still refuse.

        Raises StoreFull or StoreFailed if the store takes nothing.
        """
        unsaved = self._pending.keys() | self._writing.keys()
        await self._all_saved([each for each in unsaved if not self.is_new(each)])

    async def close(self) -> None:
        """Write what is left and end. The store stays open, for its owner to close.

        Raises StoreFull or StoreFailed if something can't be written even at the second try; it
        is lost then. Closing twice is no error.
        """
        try:
            has_failed = False
            while self.backlog and not self._is_closed:
                try:
                    await self.flushed()
                except StoreError:  # once: what was refused for good is withdrawn by now
                    if has_failed:
                        raise
                    has_failed = True
        finally:
            self._end_all()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Journal backlog={self.backlog} error={self._error!r}>"

    # What changes, and who waits.

    def _pass_on(self, change: Change) -> None:
        self._store.write((change,))

    def _note(self, change: Change) -> None:
        workload_id = change.workload_id
        pending = self._pending.get(workload_id)
        if pending is not None:
            pending.becomes(change)
            return
        written = self._writing.get(workload_id)
        is_return = change.is_new and written is not None and written.change.entry is None
        self._pending[workload_id] = _Pending(change, is_return=is_return)
        if self._patience is None:
            self._patience = self._loop.call_later(UNHURRIED_SECONDS, self._lose_patience)

    def _hurry(self, workload_id: str) -> None:
        self._hurried[workload_id] = None
        if self._retry is not None and not self.is_new(workload_id):
            # The store takes nothing, but may do so by now: it is asked, if not again and again.
            self._retry.cancel()
            self._retry_at(self._failed_at + FIRST_RETRY_SECONDS)
        self._begin_soon()

    def _lose_patience(self) -> None:
        self._patience = None
        self._is_due = True
        self._begin_soon()

    async def _all_saved(self, workload_ids: Sequence[str]) -> None:
        """Wait for some workloads. Raises what the first error is about."""
        if not workload_ids:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        left = len(workload_ids)
        failure: StoreError | None = None

        def told(error: StoreError | None) -> None:
            nonlocal left, failure
            left -= 1
            failure = failure or error
            if left or future.done():  # its waiter may have been cancelled
                return
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(failure)

        for workload_id in workload_ids:
            self.when_saved(workload_id, told)
        await future

    # Writing.

    def _begin_soon(self) -> None:
        """Write with all that this pass of the event loop still brings."""
        if not self._writing and self._next is None:
            self._next = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        if self._writing or self._is_closed:
            return
        chosen = self._choose()
        if not chosen:
            return
        for workload_id in chosen:
            self._hurried.pop(workload_id, None)
            self._writing[workload_id] = self._pending.pop(workload_id)
        changes = [each.change for each in self._writing.values()]
        self._submit(partial(self._write, changes))

    def _choose(self) -> Iterable[str]:
        """Give the ids of what is to be written now."""
        due = list(self._pending if self._is_due else self._hurried)
        was_due, self._is_due = self._is_due, False
        if not self._is_apart:
            return due
        others = [each for each in due if not self._pending[each].change.is_new]
        if others and self._retry is None:
            self._is_due = was_due
            return others
        return [each for each in due if self._pending[each].change.is_new]

    def _submit(self, write: Callable[[], None]) -> None:
        if self._executor is None:
            self._executor = self._thread = ThreadPoolExecutor(1, "kakuri-journal")
        self._executor.submit(write)

    def _write(self, changes: Sequence[Change]) -> None:
        error: BaseException | None = None
        try:
            self._step("journal.before-write")
            self._store.write(changes)
            self._step("journal.after-write")
        except BaseException as failure:  # noqa: BLE001 (it is told to who waits)
            error = failure
        self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        """Tell who waits what became of a write, and go on to the next."""
        self._step("journal.before-answer")
        written, self._writing = self._writing, {}
        if error is None:
            self._succeed(written)
            waiting = [told for each in written.values() for told in each.waiting]
        else:
            if not isinstance(error, StoreError):
                error = StoreFailed(f"the store failed: {error!r}")
            waiting = self._fail(written, error)
        if self._hurried or self._is_due:
            self._begin()  # the disk has work while answers leave
        for told in waiting:
            told(None if error is None else _own(error))

    def _succeed(self, written: dict[str, _Pending]) -> None:
        has_new = any(each.change.is_new for each in written.values())
        has_others = not all(each.change.is_new for each in written.values())
        if (has_new and self._refusal) or (has_others and self._error):
            _log.info("the store takes %s again", "new workloads" if has_new else "changes")
        if has_new:
            self._is_apart, self._refusal = False, None
        if has_others:
            self._error, self._delay = None, FIRST_RETRY_SECONDS
        if self._retry is not None:
            self._retry.cancel()
            self._try_again()

    def _fail(self, written: dict[str, _Pending], error: StoreError) -> list[Told]:
        """Put back what has to be written; gives whom to tell that it was not."""
        is_mixed = len({each.change.is_new for each in written.values()}) == 2
        self._is_apart = True
        if is_mixed:
            self._put_back(written)
            return []
        if all(each.change.is_new for each in written.values()):
            self._refusal = self._logged("new workloads", self._refusal, error)
            return self._withdraw(written)
        self._error = self._logged("changes", self._error, error)
        waiting = [told for each in written.values() for told in each.waiting]
        for each in written.values():
            each.waiting = []
        self._put_back(written)
        self._failed_at = self._loop.time()
        self._retry_at(self._failed_at + self._delay)
        self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)
        return waiting

    def _put_back(self, written: dict[str, _Pending]) -> None:
        """Let changes be pending again, unless there are later ones of the same workloads."""
        self._is_due = True
        for workload_id, pending in written.items():
            later = self._pending.get(workload_id)
            if later is not None:
                pending.becomes(later.change)
                pending.is_return |= later.is_return
                pending.waiting += later.waiting
            self._pending[workload_id] = pending
            if pending.waiting:
                self._hurried[workload_id] = None

    def _withdraw(self, written: dict[str, _Pending]) -> list[Told]:
        """Take registrations back; gives who is to be told."""
        waiting: list[Told] = []
        for workload_id, refused in written.items():
            waiting += refused.waiting
            later = self._pending.get(workload_id)
            if later is not None and (later.change.is_new or later.change.entry is None):
                continue  # removed meanwhile, and perhaps registered anew
            if later is not None:
                waiting += later.waiting
                later.waiting = []
            if workload_id in self._registry:
                self._registry.remove(workload_id)
            if not refused.is_return:  # the store does not know it
                self._pending.pop(workload_id, None)
            self._hurried.pop(workload_id, None)
        return waiting

    def _retry_at(self, when: float) -> None:
        self._retry = self._loop.call_at(when, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._is_due = True
        self._begin_soon()

    def _logged(self, what: str, known: StoreError | None, error: StoreError) -> StoreError:
        """Log an error once, however often it comes again; gives it."""
        if str(error) != str(known):
            _log.error("the store takes no %s: %s", what, error)
        return error

    def _end_all(self) -> None:
        self._is_closed = True
        self._registry.subscribe(None)
        for timer in (self._retry, self._patience, self._next):
            if timer is not None:
                timer.cancel()
        if self._thread is not None:
            self._thread.shutdown()  # so that nobody closes the store under a write
        left = [*self._pending.values(), *self._writing.values()]
        self._pending, self._hurried, self._writing = {}, {}, {}
        for told in [told for each in left for told in each.waiting]:
            told(StoreFailed("the journal is closed"))

    def _step(self, name: str) -> None:
        if self._on_step is not None:
            self._on_step(name)


def _own(error: StoreError) -> StoreError:
    """Give one waiter an error of its own: each raise adds a traceback to the object."""
    told = StoreFull(str(error)) if isinstance(error, StoreFull) else StoreFailed(str(error))
    told.__cause__ = error
    return told
