"""A periodic check of whether a store accepts changes and new workloads.

Without it, an idle store would not notice that the disk is full or that its files were deleted.
"""

import asyncio
from collections.abc import Callable

from kakuri_registry._errors import StoreError, StoreFull, store_error
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
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Callable[[], None]], None],
        on_probed: Callable[[StoreError | None, StoreFull | None], None],
    ) -> None:
        self._store = store
        self._submit = submit
        self._on_probed = on_probed
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
        self._submit(reporting(self._loop, self._store.check_room, self._report))

    def _report(self, _result: None, error: BaseException | None) -> None:
        if isinstance(error, StoreFull):
            self._on_probed(None, error)
        else:
            self._on_probed(None if error is None else store_error(error), None)
