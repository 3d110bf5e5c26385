"""A periodic check that a store still accepts writes."""

import asyncio
from collections.abc import Callable

from kakuri_registry._errors import StoreError
from kakuri_registry._store import Store
from kakuri_registry._writer_thread import reporting

IDLE_CHECK_SECONDS = 10.0
"""Time between two checks."""


class IdleCheck:
    """Submits an empty write every ten seconds, so that an idle store notices deleted files.

    Args:
        store: The store.
        submit: Runs a function on the thread that writes to the store.
        on_checked: Called on the loop with the outcome.
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Callable[[], None]], None],
        on_checked: Callable[[StoreError | None], None],
    ) -> None:
        self._store = store
        self._submit = submit
        self._on_checked = on_checked
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if not store.is_nonblocking:
            self._schedule()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(IDLE_CHECK_SECONDS, self._begin)

    def _begin(self) -> None:
        self._schedule()
        self._submit(reporting(self._loop, self._write_nothing, self._end))

    def _write_nothing(self) -> None:
        self._store.write(())

    def _end(self, _result: None, error: BaseException | None) -> None:
        if error is None or isinstance(error, StoreError):
            self._on_checked(error)
