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
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Self, TypeAlias

from kakuri_registry._backlog import Backlog, OnSaved, Written
from kakuri_registry._change_log import Change
from kakuri_registry._errors import StoreError, StoreFailed, StoreFull
from kakuri_registry._registry import WorkloadRegistry
from kakuri_registry._store import Failpoint, Store, no_failpoint

_log = logging.getLogger("kakuri_registry")

_Outcome: TypeAlias = "asyncio.Future[StoreError | None]"

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
"""How long a failed write waits before it is tried again; it doubles in between."""

UNHURRIED_SECONDS = 0.02
"""How long a change that nobody waits for stays behind."""

TIDY_SECONDS = 5.0
"""Delay between a removal and tidying the store, so that many removals share it and no caller waits
for it."""

WRITER_FAILPOINTS = ("writer.before-write", "writer.after-write", "writer.before-answer")
"""What `failpoint` of a StoreWriter is called with; the first two from the writer's thread."""


class StoreWriter:
    """Keeps a store up to date with a registry. To be made and used on a running event loop.

    `failpoint` is called with the name of each step (WRITER_FAILPOINTS), so that a test can end the
    process there. `executor` runs the writes, one at a time, and stays its owner's; without one
    the writer has a thread.
    """

    def __init__(
        self,
        registry: WorkloadRegistry,
        store: Store,
        *,
        failpoint: Failpoint = no_failpoint,
        executor: Executor | None = None,
    ) -> None:
        self._registry = registry
        self._store = store
        self._failpoint = failpoint
        self._loop = asyncio.get_running_loop()
        self._backlog = Backlog()
        self._next: asyncio.Handle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._delay = FIRST_RETRY_SECONDS
        self._failed_at = 0.0
        self._settling: list[_Outcome] = []  # of those that wait for all that there is now
        self._error: StoreError | None = None
        self._refusal: StoreError | None = None
        self._is_closed = False
        self._executor = executor
        self._thread: ThreadPoolExecutor | None = None
        # A store that never waits gains nothing by batches.
        registry.subscribe(self._pass_on if store.is_nonblocking else self._note)

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
        return len(self._backlog.ids)

    def is_saved(self, workload_id: str) -> bool:
        """Tell whether all that the registry knows of a workload is in the store."""
        return not self._backlog.has(workload_id)

    def is_settled(self, workload_id: str) -> bool:
        """Tell whether waiting would change nothing: it is saved, or the store takes nothing."""
        return self.is_saved(workload_id) or (
            self._error is not None and not self.is_new(workload_id)
        )

    def is_new(self, workload_id: str) -> bool:
        """Tell whether a workload's registration is not in the store yet, and may be withdrawn."""
        return self._backlog.is_new(workload_id)

    async def saved(self, workload_id: str) -> None:
        """Wait until all that the registry knows now of a workload is in the store.

        Raises StoreFull or StoreFailed if it can't be: a workload that was to be registered is
        then withdrawn from the registry; any other change stands and is tried again later.
        """
        await self._all_saved([] if self.is_saved(workload_id) else [workload_id])

    def when_saved(self, workload_id: str, told: OnSaved) -> None:
        """Do as `saved` does, with a call in place of a wait: for whoever has many of them.

        `told` is called with None, or with what `saved` would raise; at once if there is nothing
        to wait for.
        """
        if not self._backlog.has(workload_id):
            told(None)
            return
        self._backlog.wait(workload_id, told)
        if self._retry is not None and not self.is_new(workload_id):
            # The store was full, but may have room by now: try again, but not for every call.
            self._retry.cancel()
            self._retry_at(self._failed_at + FIRST_RETRY_SECONDS)
        self._begin_soon()

    async def flushed(self) -> None:
        """Wait until everything that the registry knows now is in the store.

        Raises StoreFull or StoreFailed if not all of it can be; see `saved`.
        """
        await self._all_saved(self._backlog.ids)

    async def settled(self) -> None:
        """Do as `flushed`, but for workloads that are new: those the store may still refuse.

        Raises StoreFull or StoreFailed if the store takes nothing.
        """
        # Callers share one wait while nothing changes, because there may be floods of lists.
        ids = [] if self._settling else [e for e in self._backlog.ids if not self.is_new(e)]
        if not ids and not self._settling:
            return
        future: _Outcome = self._loop.create_future()
        self._settling.append(future)
        if ids:
            self._when_all_saved(ids, self._settling)
        error = await future
        if error is not None:
            raise _own(error)

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
        return f"<StoreWriter backlog={self.backlog} error={self._error!r}>"

    # What changes, and who waits.

    def _pass_on(self, change: Change) -> None:
        self._store.write((change,))

    def _note(self, change: Change) -> None:
        self._backlog.note(change)
        self._settling = []
        if self._patience is None:
            self._patience = self._loop.call_later(UNHURRIED_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        self._backlog.is_due = True
        self._begin_soon()

    async def _all_saved(self, workload_ids: Collection[str]) -> None:
        """Wait for some workloads. Raises what the first error is about."""
        if not workload_ids:
            return
        future: _Outcome = self._loop.create_future()
        self._when_all_saved(workload_ids, [future])
        error = await future
        if error is not None:
            raise error

    def _when_all_saved(self, workload_ids: Collection[str], futures: list[_Outcome]) -> None:
        """Set futures, once the writes of some workloads have ended, to the first error."""
        left = len(workload_ids)
        failure: StoreError | None = None

        def told(error: StoreError | None) -> None:
            nonlocal left, failure
            left -= 1
            failure = failure or error
            if left:
                return
            if futures is self._settling:
                self._settling = []
            for future in futures:
                if not future.done():  # its waiter may have been cancelled
                    future.set_result(failure)

        for workload_id in workload_ids:
            self.when_saved(workload_id, told)

    # Writing.

    def _begin_soon(self) -> None:
        """Write with all that this pass of the event loop still brings."""
        if not self._backlog.writing and self._next is None:
            self._next = self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        if self._backlog.writing or self._is_closed:
            return
        changes = self._backlog.take(only_new=self._retry is not None)
        if changes:
            self._submit(partial(self._write, changes))

    def _submit(self, write: Callable[[], None]) -> None:
        if self._executor is None:
            self._executor = self._thread = ThreadPoolExecutor(1, "kakuri-writer")
        self._executor.submit(write)

    def _write(self, changes: Sequence[Change]) -> None:
        error: BaseException | None = None
        try:
            self._failpoint("writer.before-write")
            self._store.write(changes)
            self._failpoint("writer.after-write")
        except BaseException as failure:  # noqa: BLE001 (it is told to who waits)
            error = failure
        self._loop.call_soon_threadsafe(self._end, error)

    def _end(self, error: BaseException | None) -> None:
        """Tell who waits what became of a write, and go on to the next."""
        self._failpoint("writer.before-answer")
        written = self._backlog.written()
        if error is None:
            self._succeed(written)
            waiting = [told for each in written.values() for told in each.waiting]
        else:
            if not isinstance(error, StoreError):
                error = StoreFailed(f"the store failed: {error!r}")
            waiting = self._fail(written, error)
        if self._backlog.is_urgent:
            self._begin()  # the disk has work while answers leave
        for told in waiting:
            told(None if error is None else _own(error))

    def _tidy(self) -> None:
        self._submit(self._tidy_in_thread)

    def _tidy_in_thread(self) -> None:
        has_more = False
        try:
            has_more = self._store.tidy()
        except StoreError as error:  # the next removal has it tried again
            _log.warning("the store was not tidied: %s", error)
        self._loop.call_soon_threadsafe(self._tidied, has_more)

    def _tidied(self, has_more: bool) -> None:  # noqa: FBT001 (from call_soon_threadsafe)
        self._tidying = None
        if has_more:
            self._tidy_later()

    def _tidy_later(self) -> None:
        if self._tidying is None and not self._is_closed:
            self._tidying = self._loop.call_later(TIDY_SECONDS, self._tidy)

    def _succeed(self, written: Written) -> None:
        if any(each.change.entry is None for each in written.values()):
            self._tidy_later()
        has_new, has_others = _kinds(written)
        if (has_new and self._refusal) or (has_others and self._error):
            _log.info("the store takes %s again", "new workloads" if has_new else "changes")
        if has_new:
            self._backlog.is_apart, self._refusal = False, None
        if has_others:
            self._error, self._delay = None, FIRST_RETRY_SECONDS
        if self._retry is not None:
            self._retry.cancel()
            self._try_again()

    def _fail(self, written: Written, error: StoreError) -> list[OnSaved]:
        """Handle the changes that were not written; return the callbacks to notify."""
        backlog = self._backlog
        backlog.is_apart = True
        has_new, has_others = _kinds(written)
        if has_new and has_others:
            backlog.put_back(written)  # each kind alone shows which of them it is
            return []
        if has_new:
            _log_once("new workloads", self._refusal, error)
            self._refusal = error
            return backlog.withdraw(written, self._forget)
        _log_once("changes", self._error, error)
        self._error = error
        waiting = [told for each in written.values() for told in each.waiting]
        for each in written.values():
            each.waiting = []
        backlog.put_back(written)
        self._failed_at = self._loop.time()
        self._retry_at(self._failed_at + self._delay)
        self._delay = min(2 * self._delay, LONGEST_RETRY_SECONDS)
        return waiting

    def _forget(self, workload_id: str) -> None:
        if workload_id in self._registry:
            self._registry.remove(workload_id)

    def _retry_at(self, when: float) -> None:
        self._retry = self._loop.call_at(when, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._backlog.is_due = True
        self._begin_soon()

    def _end_all(self) -> None:
        self._is_closed = True
        self._registry.subscribe(None)
        for timer in (self._retry, self._patience, self._next, self._tidying):
            if timer is not None:
                timer.cancel()
        if self._thread is not None:
            self._thread.shutdown()  # so that nobody closes the store under a write
        for told in self._backlog.clear():
            told(StoreFailed("the store writer is closed"))


def _kinds(written: Written) -> tuple[bool, bool]:
    """Return whether there are registrations, and whether there is anything else."""
    is_new = {each.is_new for each in written.values()}
    return True in is_new, False in is_new


def _log_once(what: str, known: StoreError | None, error: StoreError) -> None:
    """Log an error that is not the one before."""
    if str(error) != str(known):
        _log.error("the store takes no %s: %s", what, error)


def _own(error: StoreError) -> StoreError:
    """Give one waiter an error of its own: each raise adds a traceback to the object."""
    told = StoreFull(str(error)) if isinstance(error, StoreFull) else StoreFailed(str(error))
    told.__cause__ = error
    return told
