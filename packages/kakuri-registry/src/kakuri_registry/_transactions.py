"""What a transaction of the database contains: which changes share one, and their statements."""

import sqlite3
from collections.abc import Iterator, Sequence

from kakuri_registry._change import Change
from kakuri_registry._event_rows import events_text
from kakuri_registry._rows import row_of
from kakuri_registry._statements import (
    CHUNKS,
    DELETE,
    DROP_TOMBSTONES,
    PUT,
    PUT_EVENTS,
    PUT_TOMBSTONES,
    in_chunks,
    is_large,
)
from kakuri_registry._tombstone_rows import tombstone_row

LARGE_TRANSACTION = 1024
"""Workloads in any other transaction without new ones, so that the log fits in the reserve."""

MAX_TOMBSTONE_PART = 1 << 20
"""Bytes of tombstones in a transaction, for the same reason."""


class Transaction:
    """The rows of changes that are written together.

    Attributes:
        version: The registry's version after the last of them.
        is_one_statement: Whether one statement writes all of them.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self.version = max(change.version for change in changes)
        self._removed = [change for change in changes if change.entry is None]
        self._rows = [row_of(change) for change in changes if change.entry is not None]
        self._tombstones = [each.tombstone for each in changes if each.tombstone is not None]
        self.is_one_statement = not (
            self._removed
            or self._tombstones
            or len(self._rows) > CHUNKS[-1]
            or any(map(is_large, self._rows))
        )

    def write(self, connection: sqlite3.Connection) -> None:
        """Run the statements; the caller begins and commits the transaction, if it is needed."""
        in_chunks(connection, DELETE, [(change.workload_id,) for change in self._removed])
        events = [
            (change.events[-1].index, change.workload_id, events_text(change.events))
            for change in self._removed
            if change.events
        ]
        in_chunks(connection, PUT_EVENTS, events)
        in_chunks(connection, PUT, self._rows)
        in_chunks(connection, PUT_TOMBSTONES, list(map(tombstone_row, self._tombstones)))
        if self._tombstones:
            oldest = max(each.oldest for each in self._tombstones)
            connection.execute(DROP_TOMBSTONES, (oldest,))


def in_transactions(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Yield changes in parts that are small enough for a transaction each."""
    start = size = 0
    for index, change in enumerate(changes):
        size += 0 if change.tombstone is None else change.tombstone.tombstone.size
        if index - start == LARGE_TRANSACTION or size > MAX_TOMBSTONE_PART:
            if index > start:
                yield changes[start:index]
            start, size = index, 0
    if start < len(changes):
        yield changes[start:]
