"""The changes of a registry that are not in its store, and which of them are written next.

Timers and the store belong to the writer.
"""

from collections.abc import Callable, Iterable

from kakuri_registry._change_log import Change
from kakuri_registry._errors import StoreError

OnSaved = Callable[[StoreError | None], None]
"""Callback with the outcome of a write: None or its error. It raises nothing."""


class Pending:
    """The latest change of a workload that is not in the store, and what waits for it.

    It is a return if it registers a workload that the store may still have from before.
    """

    __slots__ = ("change", "is_return", "waiting")

    def __init__(self, change: Change, *, is_return: bool) -> None:
        self.change = change
        self.is_return = is_return
        self.waiting: list[OnSaved] = []

    @property
    def is_new(self) -> bool:
        """Whether the store does not know the workload, and may refuse it."""
        return self.change.is_new

    def becomes(self, change: Change) -> None:
        """Replace the change by a later one."""
        if self.change.is_new and change.entry is not None:
            change = change._replace(is_new=True)  # to the store it still is
        self.is_return |= change.is_new and self.change.entry is None
        self.change = change


Written = dict[str, Pending]
"""What is written together, by the workloads' ids."""


class Backlog:
    """One pending change for each workload; those that a caller awaits are urgent.

    Attributes:
        writing: what is on its way to the store.
        is_due: whether all pending changes are to be written, urgent or not.
        is_apart: whether registrations are written apart from other changes.

    """

    def __init__(self) -> None:
        self._pending: Written = {}
        self._urgent: dict[str, None] = {}
        self.writing: Written = {}
        self.is_due = False
        self.is_apart = False

    @property
    def ids(self) -> list[str]:
        """The workloads that have changes which are not in the store."""
        return list(self.writing | self._pending)

    @property
    def is_urgent(self) -> bool:
        """Whether there is a change to be written as soon as possible."""
        return bool(self._urgent) or self.is_due

    def has(self, workload_id: str) -> bool:
        """Return whether a workload has changes that are not in the store."""
        return workload_id in self._pending or workload_id in self.writing

    def is_new(self, workload_id: str) -> bool:
        """Return whether a workload's registration is not in the store."""
        return any(
            workload_id in those and those[workload_id].is_new
            for those in (self._pending, self.writing)
        )

    def note(self, change: Change) -> None:
        """Add the latest change of a workload."""
        workload_id = change.workload_id
        pending = self._pending.get(workload_id)
        if pending is not None:
            pending.becomes(change)
            return
        written = self.writing.get(workload_id)
        is_return = change.is_new and written is not None and written.change.entry is None
        self._pending[workload_id] = Pending(change, is_return=is_return)

    def wait(self, workload_id: str, told: OnSaved) -> None:
        """Call `told` with the outcome of a workload's latest change; there has to be one."""
        pending = self._pending.get(workload_id)
        if pending is None:
            self.writing[workload_id].waiting.append(told)
        else:
            pending.waiting.append(told)
            self._urgent[workload_id] = None

    def take(self, *, only_new: bool) -> list[Change]:
        """Move the changes to write next to `writing`, and return them; there may be none."""
        for workload_id in self._chosen(only_new=only_new):
            self._urgent.pop(workload_id, None)
            self.writing[workload_id] = self._pending.pop(workload_id)
        return [each.change for each in self.writing.values()]

    def _chosen(self, *, only_new: bool) -> Iterable[str]:
        due = list(self._pending if self.is_due else self._urgent)
        was_due, self.is_due = self.is_due, False
        if not self.is_apart:
            return due
        others = [each for each in due if not self._pending[each].is_new]
        if others and not only_new:
            self.is_due = was_due  # for the new ones
            return others
        return [each for each in due if self._pending[each].is_new]

    def written(self) -> Written:
        """End writing, and return what was written."""
        written, self.writing = self.writing, {}
        return written

    def put_back(self, written: Written) -> None:
        """Make changes that could not be written pending again, merged with later ones."""
        self.is_due = True
        for workload_id, pending in written.items():
            later = self._pending.get(workload_id)
            if later is not None:
                pending.becomes(later.change)
                pending.is_return |= later.is_return
                pending.waiting += later.waiting
            self._pending[workload_id] = pending
            if pending.waiting:
                self._urgent[workload_id] = None

    def withdraw(self, refused: Written, forget: Callable[[str], object]) -> list[OnSaved]:
        """Withdraw registrations that the store refused; return the callbacks to notify.

        `forget` is called with each workload that the registry has to forget, and notes that here.
        """
        waiting: list[OnSaved] = []
        for workload_id, pending in refused.items():
            waiting += pending.waiting
            later = self._pending.get(workload_id)
            if later is not None:
                if later.is_new or later.change.entry is None:
                    continue  # removed meanwhile, and perhaps registered anew
                waiting += later.waiting
                later.waiting = []
            forget(workload_id)
            if not pending.is_return:  # there is nothing that the store has to forget
                self._pending.pop(workload_id, None)
            self._urgent.pop(workload_id, None)
        return waiting

    def clear(self) -> list[OnSaved]:
        """Drop everything, and return the callbacks that waited."""
        left = [*self._pending.values(), *self.writing.values()]
        self._pending, self._urgent, self.writing = {}, {}, {}
        return [told for each in left for told in each.waiting]
