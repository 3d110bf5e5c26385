"""The ids of workloads by state and label.

The ids of each label are separate for each state, so that a page of any combination is read without
visiting workloads that do not belong to it.
"""

from collections.abc import Iterable, Iterator
from heapq import merge

from kakuri_workload import Workload, WorkloadState

from kakuri_registry._entry import WorkloadEntry
from kakuri_registry._ordered import OrderedIds

Label = tuple[str, str]


class Index:
    """The ids of the workloads of each state, and of each label in each state."""

    def __init__(self, entries: Iterable[WorkloadEntry] = ()) -> None:
        states: dict[WorkloadState, list[str]] = {state: [] for state in WorkloadState}
        labels: dict[tuple[WorkloadState, Label], list[str]] = {}
        for entry in entries:
            workload_id = entry.workload.id
            states[entry.state].append(workload_id)
            for label in entry.workload.labels.items():
                labels.setdefault((entry.state, label), []).append(workload_id)
        self._states = {state: OrderedIds(members) for state, members in states.items()}
        self._labels = {key: OrderedIds(members) for key, members in labels.items()}

    def add(self, entry: WorkloadEntry) -> None:
        """Add a new workload."""
        self._enter(entry.state, entry.workload)

    def move(self, before: WorkloadState, entry: WorkloadEntry) -> None:
        """Move a workload to another state."""
        self._leave(before, entry.workload)
        self._enter(entry.state, entry.workload)

    def discard(self, entry: WorkloadEntry) -> None:
        """Remove a workload."""
        self._leave(entry.state, entry.workload)

    def after(
        self, workload_id: str, state: WorkloadState | None, label: Label | None
    ) -> Iterator[str]:
        """Return an iterator over the ids after one, in order, filtered by state and label."""
        states = WorkloadState if state is None else (state,)
        if label is None:
            groups = [self._states[each] for each in states]
        else:
            groups = [self._labels[each, label] for each in states if (each, label) in self._labels]
        return merge(*(group.after(workload_id) for group in groups))

    def count(self, state: WorkloadState) -> int:
        """Return how many workloads are in a state."""
        return len(self._states[state])

    def _enter(self, state: WorkloadState, workload: Workload) -> None:
        workload_id = workload.id
        self._states[state].add(workload_id)
        for label in workload.labels.items():
            members = self._labels.get((state, label))
            if members is None:
                members = self._labels[state, label] = OrderedIds()
            members.add(workload_id)

    def _leave(self, state: WorkloadState, workload: Workload) -> None:
        workload_id = workload.id
        self._states[state].discard(workload_id)
        for label in workload.labels.items():
            members = self._labels[state, label]
            members.discard(workload_id)
            if not members:
                del self._labels[state, label]
