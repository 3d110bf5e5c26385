"""Which workloads are in a state, which have a label, and which have ended, and when."""

from collections.abc import Iterable, Iterator

from kakuri_registry._ordered import OrderedIds
from kakuri_registry._state import WorkloadState
from kakuri_registry._workload import WorkloadEntry


class Index:
    """The ids of a registry by what one lists them by."""

    def __init__(self, entries: Iterable[tuple[WorkloadEntry, float]] = ()) -> None:
        ids: list[str] = []
        states: dict[WorkloadState, list[str]] = {state: [] for state in WorkloadState}
        labels: dict[tuple[str, str], list[str]] = {}
        finished: list[tuple[float, str]] = []
        for entry, since in entries:
            workload_id = entry.workload.id
            ids.append(workload_id)
            states[entry.state].append(workload_id)
            for label in entry.workload.labels.items():
                labels.setdefault(label, []).append(workload_id)
            if entry.state.is_terminal:
                finished.append((since, workload_id))
        self._all = OrderedIds(ids)
        self._states = {state: OrderedIds(members) for state, members in states.items()}
        self._labels = {label: OrderedIds(members) for label, members in labels.items()}
        # In the order in which they ended, so that the oldest are found without a search.
        self._finished = {workload_id: since for since, workload_id in sorted(finished)}

    def add(self, entry: WorkloadEntry) -> None:
        """Take in a workload that was registered."""
        workload_id = entry.workload.id
        self._all.add(workload_id)
        self._states[entry.state].add(workload_id)
        for label in entry.workload.labels.items():
            members = self._labels.get(label)
            if members is None:
                members = self._labels[label] = OrderedIds()
            members.add(workload_id)

    def move(self, before: WorkloadState, entry: WorkloadEntry) -> None:
        """Take in that a workload has come to another state."""
        workload_id = entry.workload.id
        self._states[before].discard(workload_id)
        self._states[entry.state].add(workload_id)
        if entry.state.is_terminal:
            self._finished[workload_id] = entry.changed_at

    def discard(self, entry: WorkloadEntry) -> None:
        """Forget a workload."""
        workload_id = entry.workload.id
        self._all.discard(workload_id)
        self._states[entry.state].discard(workload_id)
        self._finished.pop(workload_id, None)
        for label in entry.workload.labels.items():
            members = self._labels[label]
            members.discard(workload_id)
            if not members:
                del self._labels[label]

    def after(
        self, workload_id: str, state: WorkloadState | None, label: tuple[str, str] | None
    ) -> Iterator[str]:
        """Give the ids behind one, in order, among them all that are in the state and so labelled.

        Asked for both, it gives those of the smaller index: the caller has to look at the rest.
        """
        members = self._all if state is None else self._states[state]
        if label is not None:
            labelled = self._labels.get(label)
            if labelled is None:
                return iter(())
            if len(labelled) < len(members):
                members = labelled
        return members.after(workload_id)

    def finished(self) -> Iterator[tuple[str, float]]:
        """Give those that have ended and when, in the order in which they did."""
        return iter(self._finished.items())

    def count(self, state: WorkloadState) -> int:
        """Tell how many are in a state."""
        return len(self._states[state])
