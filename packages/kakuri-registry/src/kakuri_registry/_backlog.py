"""The changes of a registry that are not in its store yet, and which of them to write next.

The backlog holds no timers and does no I/O; both belong to the store writer.
"""

from collections.abc import Callable, Iterable

from kakuri_registry._change import Change
from kakuri_registry._errors import StoreError
from kakuri_registry._tombstones import NewTombstone

OnSaved = Callable[[StoreError | None], None]
"""A callback for the outcome of a write: None, or the error. It must not raise."""


class PendingChange:
    """A workload's latest change that is not in the store, with the callbacks that wait for it.

    Attributes:
        change: The change to write.
        is_merged: Whether it superseded an earlier change, whose events have to be written with it.
        is_reregistration: Whether it registers a workload although the removal of an earlier one
            with the same id is not in the store yet, so that the store may still have the earlier
            one.
        callbacks: The functions to call with the outcome.
    """

    __slots__ = ("callbacks", "change", "is_merged", "is_reregistration")

    def __init__(self, change: Change, *, is_reregistration: bool) -> None:
        self.change = change
        self.is_merged = False
        self.is_reregistration = is_reregistration
        self.callbacks: list[OnSaved] = []

    @property
    def is_registration(self) -> bool:
        """Whether it registers a workload, which the store may refuse."""
        return self.change.is_registration

    def supersede(self, change: Change) -> None:
        """Replace the change with a later one of the same workload."""
        if self.change.is_registration and change.entry is not None:
            # The store has not seen the registration.
            change = change._replace(is_registration=True)
        self.is_merged = True
        self.is_reregistration |= change.is_registration and self.change.entry is None
        earlier, self.change = self.change, change
        self.keep_tombstone(earlier)

    def keep_tombstone(self, earlier: Change) -> None:
        """Store the tombstone of an earlier change with this one, unless this one has its own."""
        if earlier.tombstone is not None and self.change.tombstone is None:
            self.change = self.change._replace(tombstone=earlier.tombstone)


Batch = dict[str, PendingChange]
"""The changes in one write, by workload id."""


def kinds(batch: Batch) -> tuple[bool, bool]:
    """Return whether a batch has registrations, and whether it has other changes."""
    found = {each.change.is_registration for each in batch.values()}
    return True in found, False in found


def take_callbacks(batch: Batch) -> list[OnSaved]:
    """Return the callbacks of a batch, which then has none."""
    callbacks: list[OnSaved] = []
    for each in batch.values():
        callbacks += each.callbacks
        each.callbacks = []
    return callbacks


class Backlog:
    """One pending change for each workload. Changes that a caller awaits are urgent.

    Attributes:
        writing: The batch being written.
        is_batch_due: Whether the next batch contains all pending changes, not only urgent ones.
        splits_registrations: Whether registrations and other changes are written separately.
    """

    def __init__(self) -> None:
        self._pending: Batch = {}
        self._urgent: dict[str, None] = {}
        self._usual_urgent = 0  # urgent changes in a write; see `expects_more`
        self.writing: Batch = {}
        self.is_batch_due = False
        self.splits_registrations = False

    @property
    def ids(self) -> list[str]:
        """The ids of the workloads with changes that are not in the store."""
        return list(self.writing | self._pending)

    @property
    def is_urgent(self) -> bool:
        """Whether a change has to be written as soon as possible."""
        return bool(self._urgent) or self.is_batch_due

    def expects_more(self) -> bool:
        """Return whether there are urgent changes, but fewer than half the usual number.

        More are then likely to arrive soon. The usual number is that of the last write, or half the
        previous usual number, whichever is larger.
        """
        return 0 < 2 * len(self._urgent) < self._usual_urgent and not self.is_batch_due

    def has(self, workload_id: str) -> bool:
        """Return whether a workload has a change that is not in the store."""
        return workload_id in self._pending or workload_id in self.writing

    def has_registration(self, workload_id: str) -> bool:
        """Return whether a workload's registration is not in the store."""
        pending, written = self._pending.get(workload_id), self.writing.get(workload_id)
        return (pending is not None and pending.change.is_registration) or (
            written is not None and written.change.is_registration
        )

    def tombstone(self, workload_id: str) -> NewTombstone | None:
        """Return the latest tombstone of an id that is not in the store."""
        for batch in (self._pending, self.writing):
            pending = batch.get(workload_id)
            if pending is not None and pending.change.tombstone is not None:
                return pending.change.tombstone
        return None

    def add(self, change: Change) -> None:
        """Add the latest change of a workload."""
        workload_id = change.workload_id
        pending = self._pending.get(workload_id)
        if pending is not None:
            pending.supersede(change)
            return
        written = self.writing.get(workload_id)
        is_removed = written is not None and written.change.entry is None
        self._pending[workload_id] = PendingChange(
            change, is_reregistration=change.is_registration and is_removed
        )

    def add_callback(self, workload_id: str, on_saved: OnSaved) -> None:
        """Call a function with the outcome of a workload's pending change, which has to exist."""
        pending = self._pending.get(workload_id)
        if pending is None:
            self.writing[workload_id].callbacks.append(on_saved)
        else:
            pending.callbacks.append(on_saved)
            self._urgent[workload_id] = None

    def take(self, *, only_registrations: bool) -> list[Change]:
        """Move the next changes to write to `writing`, and return them; there may be none.

        Args:
            only_registrations: Whether to take only registrations, if they are written separately.
        """
        self._usual_urgent = max(len(self._urgent), self._usual_urgent // 2)
        for workload_id in self._select(only_registrations=only_registrations):
            self._urgent.pop(workload_id, None)
            self.writing[workload_id] = self._pending.pop(workload_id)
        return [each.change for each in self.writing.values()]

    def _select(self, *, only_registrations: bool) -> Iterable[str]:
        due = list(self._pending if self.is_batch_due else self._urgent)
        was_batch_due, self.is_batch_due = self.is_batch_due, False
        if not self.splits_registrations:
            return due
        others = [each for each in due if not self._pending[each].is_registration]
        if others and not only_registrations:
            self.is_batch_due = was_batch_due  # for the registrations, which are written next
            return others
        return [each for each in due if self._pending[each].is_registration]

    def end_write(self) -> Batch:
        """Clear `writing` and return its changes."""
        batch, self.writing = self.writing, {}
        return batch

    def put_back(self, batch: Batch) -> None:
        """Make changes that could not be written pending again, merged with later ones."""
        self.is_batch_due = True
        for workload_id, pending in batch.items():
            later = self._pending.get(workload_id)
            if later is not None:
                pending.supersede(later.change)
                pending.is_reregistration |= later.is_reregistration
                pending.callbacks += later.callbacks
            self._pending[workload_id] = pending
            if pending.callbacks:
                self._urgent[workload_id] = None

    def withdraw(self, refused: Batch, unregister: Callable[[str], object]) -> list[OnSaved]:
        """Withdraw registrations that the store refused.

        Args:
            refused: The registrations.
            unregister: Removes a workload from the registry, which adds the removal to this
                backlog.

        Returns:
            The callbacks to call with the error.
        """
        callbacks: list[OnSaved] = []
        for workload_id, pending in refused.items():
            callbacks += pending.callbacks
            later = self._pending.get(workload_id)
            if later is not None:
                if later.is_registration or later.change.entry is None:
                    later.keep_tombstone(pending.change)
                    continue  # it was removed in the meantime, and perhaps registered again
                callbacks += later.callbacks
                later.callbacks = []
            unregister(workload_id)
            if not pending.is_reregistration:  # the store has nothing to remove
                self._pending.pop(workload_id, None)
            elif workload_id in self._pending:
                self._pending[workload_id].keep_tombstone(pending.change)
            self._urgent.pop(workload_id, None)
        return callbacks

    def clear(self) -> list[OnSaved]:
        """Drop all changes and return their callbacks."""
        callbacks = take_callbacks(self._pending) + take_callbacks(self.writing)
        self._pending, self._urgent, self.writing = {}, {}, {}
        return callbacks
