"""The transactions of the database: which changes share one, and its statements."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from kakuri_registry._accepted_rows import accepted_text
from kakuri_registry._change import Change
from kakuri_registry._event_rows import event_rows
from kakuri_registry._events import RegistryEvent
from kakuri_registry._rows import row_of
from kakuri_registry._statements import (
    ACCEPT,
    DELETE,
    DROP_TOMBSTONES,
    FORGET_ACCEPTED,
    PUT_EVENTS,
    PUT_TOMBSTONES,
    in_chunks,
    put_rows,
)
from kakuri_registry._tombstone_rows import tombstone_row

LARGE_TRANSACTION = 1024
"""Maximum number of workloads in a transaction that registers none, so that the log fits in the
reserve."""

MAX_TOMBSTONE_PART = 1 << 20
"""Maximum size of tombstones in a transaction in bytes, for the same reason."""


class Acceptance:
    """A write of registrations as one row of the table `accepted`.

    Attributes:
        version: The registry's version after the last of them.
        is_one_statement: Whether one statement writes all of them.
        forgets_accepted: Whether it deletes the accepted registrations.
        accepted: The registrations that it adds to them.
    """

    is_one_statement = True
    forgets_accepted = False

    def __init__(self, changes: Sequence[Change]) -> None:
        self.accepted = changes
        self.version = max(change.version for change in changes)
        self._row = (self.version, accepted_text(changes))

    def write(self, connection: sqlite3.Connection) -> None:
        """Run the statement."""
        in_chunks(connection, ACCEPT, [self._row])


class Transaction:
    """The rows of changes that are written together.

    Args:
        changes: The changes; at most one of each workload.
        events: The events to store; by default those of the changes.
        forgets_accepted: Whether the changes include all accepted registrations.
        acceptance: Stores additional registrations, without their own rows.

    Attributes:
        version: The registry's version after the last of them.
        is_one_statement: Whether one statement writes all of them.
        forgets_accepted: Whether it deletes the accepted registrations.
        accepted: The registrations that it adds to them.
    """

    is_one_statement = False

    def __init__(
        self,
        changes: Sequence[Change],
        *,
        events: Iterable[RegistryEvent] | None = None,
        forgets_accepted: bool = False,
        acceptance: Acceptance | None = None,
    ) -> None:
        self.version = max(change.version for change in changes)
        self.accepted: Sequence[Change] = ()
        self._acceptance = acceptance
        if acceptance is not None:
            self.accepted = acceptance.accepted
            self.version = max(self.version, acceptance.version)
        self.forgets_accepted = forgets_accepted
        self._removed = [(change.workload_id,) for change in changes if change.entry is None]
        self._rows = [row_of(change) for change in changes if change.entry is not None]
        if events is None:
            events = [event for change in changes for event in change.events]
        self._events = event_rows(events)
        self._tombstones = [each.tombstone for each in changes if each.tombstone is not None]

    def write(self, connection: sqlite3.Connection) -> None:
        """Run the statements; the caller begins and commits the transaction."""
        in_chunks(connection, DELETE, self._removed)
        put_rows(connection, self._rows)
        in_chunks(connection, PUT_EVENTS, self._events)
        in_chunks(connection, PUT_TOMBSTONES, list(map(tombstone_row, self._tombstones)))
        if self.forgets_accepted:
            connection.execute(FORGET_ACCEPTED)
        if self._acceptance is not None:
            self._acceptance.write(connection)
        if self._tombstones:
            oldest = max(each.oldest for each in self._tombstones)
            connection.execute(DROP_TOMBSTONES, (oldest,))


def in_transactions(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Split changes into parts that are small enough for a transaction each."""
    start = size = 0
    for index, change in enumerate(changes):
        size += 0 if change.tombstone is None else change.tombstone.tombstone.size
        if index - start == LARGE_TRANSACTION or size > MAX_TOMBSTONE_PART:
            if index > start:
                yield changes[start:index]
            start, size = index, 0
    if start < len(changes):
        yield changes[start:]
