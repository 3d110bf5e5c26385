"""Reads and deletes tombstones in the store, on the thread that writes."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from kakuri_registry._errors import StoreError
from kakuri_registry._store import Store
from kakuri_registry._writer_thread import reporting

_log = logging.getLogger("kakuri_registry")


class StoredTombstones:
    """Reads and deletes the tombstones of a store.

    Args:
        store: The store.
        submit: Runs a function on the thread that writes to the store.
    """

    def __init__(self, store: Store, submit: Callable[[Callable[[], None]], None]) -> None:
        self._store = store
        self._submit = submit
        self._loop = asyncio.get_running_loop()

    async def log(self, version: int) -> bytes:
        """Return the end of the log that was stored with a tombstone; empty if there is none.

        Raises:
            StoreFailed: The store can't be read, or is closed.
        """
        if self._store.is_nonblocking:
            return self._store.removed_log(version) or b""
        read: asyncio.Future[bytes] = self._loop.create_future()

        def resolve(log: bytes | None, error: BaseException | None) -> None:
            if read.done():  # the caller was cancelled
                return
            if error is None:
                read.set_result(log or b"")
            else:
                read.set_exception(error)

        self._submit(reporting(self._loop, partial(self._store.removed_log, version), resolve))
        return await read

    def drop(self, oldest: int) -> None:
        """Delete the tombstones with a version below `oldest`."""
        if self._store.is_nonblocking:
            self._store.drop_tombstones(oldest)
        else:
            self._submit(partial(self._drop, oldest))

    def _drop(self, oldest: int) -> None:
        try:
            self._store.drop_tombstones(oldest)
        except StoreError as error:
            _log.warning("removed workloads were not deleted from the store: %s", error)
