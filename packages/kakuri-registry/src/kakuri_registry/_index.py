"""The ids of workloads by state and label.

The ids of each label are kept separately for each state, so that a page of any combination can be
read without visiting other workloads.

Changes are first recorded in a dict, which is cheap, and applied when ids are read or many changes
have been recorded. So a workload that changes its state several times between two reads is only
added once, under its latest state.
"""

from collections.abc import Iterator, Mapping
from heapq import merge

from kakuri_workload import Workload, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._ordered import OrderedIds

MAX_UNAPPLIED = 256
"""Number of recorded changes after which they are applied, which takes less than 1 ms."""

Label = tuple[str, str]


class Index:
    """The ids of the workloads of each state, and of each label in each state.

    Args:
        entries: The current entry of each workload, by id. The index keeps a reference to this
            mapping; its owner calls `record` or `discard` for each change.
    """

    def __init__(self, entries: Mapping[str, WorkloadEntry]) -> None:
        self._entries = entries
        # The workloads with unapplied changes, and the state under which the index has each; None
        # for a new workload.
        self._unapplied: dict[str, WorkloadState | None] = {}
        states: dict[WorkloadState, list[str]] = {state: [] for state in WorkloadState}
        labels: dict[tuple[WorkloadState, Label], list[str]] = {}
        for workload_id, entry in entries.items():
            states[entry.state].append(workload_id)
            for label in entry.workload.labels.items():
                labels.setdefault((entry.state, label), []).append(workload_id)
        self._states = {state: OrderedIds(members) for state, members in states.items()}
        self._labels = {key: OrderedIds(members) for key, members in labels.items()}

    def record(self, workload_id: str, before: WorkloadState | None) -> None:
        """Record that a workload was added or its state changed.

        Args:
            workload_id: The workload.
            before: Its state before the change; None if it is new.
        """
        self._unapplied.setdefault(workload_id, before)
        if len(self._unapplied) > MAX_UNAPPLIED:
            self._apply()

    def discard(self, entry: WorkloadEntry) -> None:
        """Remove a workload."""
        state = self._unapplied.pop(entry.workload.id, entry.run.state)
        if state is not None:
            self._leave(state, entry.workload)

    def after(
        self, workload_id: str, state: WorkloadState | None, label: Label | None
    ) -> Iterator[str]:
        """Iterate over the ids after a given one, in order, filtered by state and label."""
        self._apply()
        states = WorkloadState if state is None else (state,)
        if label is None:
            groups = [self._states[each] for each in states]
        else:
            groups = [self._labels[each, label] for each in states if (each, label) in self._labels]
        return merge(*(group.after(workload_id) for group in groups))

    def count(self, state: WorkloadState) -> int:
        """Return the number of workloads in a state."""
        self._apply()
        return len(self._states[state])

    def _apply(self) -> None:
        """Apply the recorded changes."""
        changes, self._unapplied = self._unapplied, {}
        for workload_id, before in changes.items():
            entry = self._entries[workload_id]
            workload, state = entry.workload, entry.run.state
            if before is not None:
                self._leave(before, workload)
            self._states[state].add(workload_id)
            if workload.labels:
                self._add_labels(state, workload)

    def _add_labels(self, state: WorkloadState, workload: Workload) -> None:
        for label in workload.labels.items():
            members = self._labels.get((state, label))
            if members is None:
                members = self._labels[state, label] = OrderedIds()
            members.add(workload.id)

    def _leave(self, state: WorkloadState, workload: Workload) -> None:
        workload_id = workload.id
        self._states[state].discard(workload_id)
        for label in workload.labels.items():
            members = self._labels[state, label]
            members.discard(workload_id)
            if not members:
                del self._labels[state, label]
