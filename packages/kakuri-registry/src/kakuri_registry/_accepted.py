"""Registrations that are durable, but not yet in the tables of workloads and events.

A client waits until its registration is durable. Most workloads change state a few milliseconds
later, so their rows would be written twice. To avoid that, the registrations of one write are first
stored together in a single row. The next write of other changes stores the workloads' own rows and
events and deletes that row, in one transaction. New registrations in that write are again stored
together in a single row.
"""

from collections.abc import Iterable, Iterator, Sequence

from kakuri_registry._accepted_rows import is_acceptable
from kakuri_registry._change import Change
from kakuri_registry._transactions import (
    LARGE_TRANSACTION,
    Acceptance,
    Transaction,
    in_transactions,
)

MAX_ACCEPTED = 512
"""Maximum number of registrations without rows; above it, the rows of all of them are written."""


class AcceptedRegistrations:
    """The registrations in the table `accepted`."""

    def __init__(self) -> None:
        self._changes: dict[str, Change] = {}
        self._is_loaded = False  # a store that was not loaded may have others

    def __len__(self) -> int:
        return len(self._changes)

    def load(self, changes: Iterable[Change]) -> None:
        """Replace all registrations with those loaded from the store."""
        self._is_loaded = True
        self._changes = {change.workload_id: change for change in changes}

    def can_add(self, changes: Sequence[Change]) -> bool:
        """Return whether changes can be stored as accepted registrations."""
        return (
            self._is_loaded
            and len(self._changes) + len(changes) <= MAX_ACCEPTED
            and all(map(is_acceptable, changes))
            and not any(change.workload_id in self._changes for change in changes)
        )

    def committed(self, transaction: Transaction | Acceptance) -> None:
        """Clear the registrations if a commit wrote their rows, and add those that it accepted."""
        if transaction.forgets_accepted:
            self._changes.clear()
        self._changes.update((change.workload_id, change) for change in transaction.accepted)

    def transaction(self, changes: Sequence[Change] = ()) -> Transaction:
        """Return a transaction with the rows of all registrations and of later changes.

        If a change supersedes a registration, only the row of the change is stored, but the events
        of both. New registrations among the changes are stored together as one row if all of them
        can be accepted; otherwise, each gets its own row.
        """
        acceptance = None
        new = [change for change in changes if change.is_registration]
        if new and len(new) < len(changes) and self.can_add(new):
            acceptance = Acceptance(new)
            changes = [change for change in changes if not change.is_registration]
        merged = self._changes | {change.workload_id: change for change in changes}
        return Transaction(
            list(merged.values()),
            events=[
                event
                for each in (self._changes.values(), changes)
                for change in each
                for event in change.events
            ],
            forgets_accepted=bool(self._changes),
            acceptance=acceptance,
        )

    def transactions(self, changes: Sequence[Change]) -> Iterator[Transaction]:
        """Yield transactions of changes of known workloads, each no larger than allowed.

        The first one contains all registrations. Commit each before requesting the next.
        """
        if self._changes and len(self._changes) + len(changes) > LARGE_TRANSACTION:
            yield self.transaction()
        for part in in_transactions(changes):
            yield self.transaction(part)

    def small_transactions(self, changes: Sequence[Change], size: int) -> Iterator[Transaction]:
        """Yield transactions of at most `size` changes each; those of registrations come first."""
        accepted = list(self._changes.values())
        for start in range(0, len(accepted), size):
            is_last = start + size >= len(accepted)
            yield Transaction(accepted[start : start + size], forgets_accepted=is_last)
        for start in range(0, len(changes), size):
            yield Transaction(changes[start : start + size])
