"""Frees the space of removed workloads a few seconds after their removal."""

import asyncio
import logging
from collections.abc import Callable

from kakuri_registry._errors import StoreError
from kakuri_registry._store import Store
from kakuri_registry._writer_thread import reporting

_log = logging.getLogger("kakuri_registry")

TIDY_SECONDS = 5.0
"""Delay between a removal and tidying the store, so that many removals share one run and no caller
waits for it."""


class Tidier:
    """Calls `Store.tidy` after removals, until there is nothing more to free.

    Args:
        store: The store to tidy.
        submit: Runs a function on the thread that writes to the store.
    """

    def __init__(self, store: Store, submit: Callable[[Callable[[], None]], None]) -> None:
        self._store = store
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def schedule(self) -> None:
        """Tidy the store after a delay, unless that is scheduled already."""
        if self._timer is None and not self._is_closed:
            tidy = reporting(self._loop, self._store.tidy, self._end)
            self._timer = self._loop.call_later(TIDY_SECONDS, self._submit, tidy)

    def close(self) -> None:
        """Stop tidying."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, has_more: bool | None, error: BaseException | None) -> None:  # noqa: FBT001 (a result)
        self._timer = None
        if isinstance(error, StoreError):  # retried after the next removal
            _log.warning("the store was not tidied: %s", error)
        elif error is not None:
            _log.error("the store was not tidied", exc_info=error)
        if has_more:
            self.schedule()
