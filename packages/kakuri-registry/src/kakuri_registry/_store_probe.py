"""A periodic check of whether a store accepts changes and new workloads.

Without it, an idle store would not notice that the disk is full or that its files were deleted, and
a writer would not notice that the disk hangs.
"""

import asyncio
from collections.abc import Callable

from kakuri_registry._errors import StoreError, StoreFailed, StoreFull, store_error
from kakuri_registry._store import Store
from kakuri_registry._writer_thread import reporting

PROBE_SECONDS = 10.0
"""Time between two probes."""


class StoreProbe:
    """Calls `Store.check_room` every ten seconds and reports the result.

    Args:
        store: The store.
        submit: Runs a function on the thread that writes to the store.
        on_probed: Called on the event loop with two errors, each None if there is none: why the
            store accepts no changes at all, and why it accepts no new workloads.
        on_stalled: Called on the event loop with an error if the previous probe, or the write
            before it, has not ended when the next one is due.
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Callable[[], None]], None],
        on_probed: Callable[[StoreError | None, StoreFull | None], None],
        on_stalled: Callable[[StoreError], None],
    ) -> None:
        self._store = store
        self._submit = submit
        self._on_probed = on_probed
        self._on_stalled = on_stalled
        self._is_probing = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if not store.is_nonblocking:  # a store in memory has no files
            self._schedule()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(PROBE_SECONDS, self._begin)

    def _begin(self) -> None:
        self._schedule()
        if self._is_probing:
            seconds = f"{PROBE_SECONDS:g} s"
            self._on_stalled(StoreFailed(f"the disk has not answered for at least {seconds}"))
            return
        self._is_probing = True
        try:
            self._submit(reporting(self._loop, self._store.check_room, self._report))
        except RuntimeError as error:  # no thread can be started
            self._report(None, error)

    def _report(self, _result: None, error: BaseException | None) -> None:
        self._is_probing = False
        if isinstance(error, StoreFull):
            self._on_probed(None, error)
        else:
            self._on_probed(None if error is None else store_error(error), None)
