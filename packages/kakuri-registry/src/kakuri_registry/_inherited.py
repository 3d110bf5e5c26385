"""Stores that a process has inherited from the one that forked it.

SQLite in the child still believes that it has locked the database. When the child's connection is
closed, even by the interpreter's exit, SQLite deletes the write-ahead log, and with it everything
that the parent writes afterwards (sqlite.org/howtocorrupt.html, section 2.6). So a child never
closes it.
"""

import os
import sqlite3
import threading
import weakref


class Inheritable:
    """A store that a forked child leaves to its parent: in the child, it is closed."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._lock = -1
        self._mutex = threading.Lock()
        _stores.add(self)

    def _leave_to_parent(self) -> None:
        if self._connection is not None:
            _keep(self._connection)
            self._connection = None
        if self._lock >= 0:
            os.close(self._lock)  # the lock ends with the parent's descriptor
            self._lock = -1
        self._mutex = threading.Lock()  # another thread of the parent may hold the old one


_stores: weakref.WeakSet[Inheritable] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for store in [*_stores]:
        store._leave_to_parent()  # noqa: SLF001 - of this module


def _keep(connection: sqlite3.Connection) -> None:
    """Add a reference that nothing removes, so that not even the interpreter's exit closes it."""
    import ctypes  # noqa: PLC0415 (takes half a MiB, and only a forked process needs it)

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


os.register_at_fork(after_in_child=_after_fork_in_child)
