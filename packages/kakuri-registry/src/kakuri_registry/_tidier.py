"""Frees the space of removed workloads some seconds after they were removed."""

import asyncio
import logging
from collections.abc import Callable

from kakuri_registry._errors import StoreError
from kakuri_registry._store import Store

_log = logging.getLogger("kakuri_registry")

TIDY_SECONDS = 5.0
"""Delay between a removal and tidying the store, so that many removals share it and no caller waits
for it."""


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
            self._timer = self._loop.call_later(TIDY_SECONDS, self._submit, self._tidy)

    def close(self) -> None:
        """Tidy no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _tidy(self) -> None:
        has_more = False
        try:
            has_more = self._store.tidy()
        except StoreError as error:  # retried after the next removal
            _log.warning("the store was not tidied: %s", error)
        finally:
            self._loop.call_soon_threadsafe(self._end, has_more)

    def _end(self, has_more: bool) -> None:  # noqa: FBT001 (from call_soon_threadsafe)
        self._timer = None
        if has_more:
            self.schedule()
