"""Checks of what callers pass, before anything is changed by it."""

from collections.abc import Mapping
from math import isfinite
from types import UnionType

from kakuri_workload import Run, Workload, WorkloadState

from kakuri_registry._entry import WorkloadEntry


def check_count(value: object, name: str) -> None:
    """Raise TypeError unless an argument is an integer, and ValueError if it is negative."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < 0:
        raise ValueError(f"expected at least 0 as {name}, got {value!r:.80}")


def check_kind(value: object, kind: type[object] | UnionType, name: str) -> None:
    """Raise TypeError unless an argument is an instance of a class, or of one of several."""
    if not isinstance(value, kind):
        expected = kind.__name__ if isinstance(kind, type) else kind
        raise TypeError(f"expected {expected} as {name}, got {value!r:.80}")


def check_time(now: object) -> None:
    """Raise TypeError unless a time is a number, and ValueError if it is not finite."""
    if not isinstance(now, float | int) or isinstance(now, bool):
        raise TypeError(f"expected seconds since the epoch as a time, got {now!r:.80}")
    if not isfinite(now):
        raise ValueError(f"expected a finite time, got {now!r:.80}")


def check_workload(workload: object) -> None:
    """Raise TypeError unless it is a Workload whose id is text and whose labels are texts."""
    if not isinstance(workload, Workload):
        raise TypeError(f"expected a Workload, got {workload!r:.80}")
    check_kind(workload.id, str, "the id of a workload")
    if workload.labels:
        check_kind(workload.labels, Mapping, "the labels of a workload")
        for key, value in workload.labels.items():
            check_kind(key, str, "the key of a label")
            check_kind(value, str, f"the label {key!r:.80}")


def check_run(run: Run) -> None:
    """Raise TypeError unless it is a Run in one of the states."""
    if not (run.__class__ is Run and run.state.__class__ is WorkloadState):
        check_kind(run, Run, "run")
        check_kind(run.state, WorkloadState, "the state of a run")


def check_entry(entry: WorkloadEntry) -> None:
    """Raise TypeError or ValueError unless the index and the journal can work with an entry."""
    run, at = entry.run, entry.changed_at
    if at.__class__ is not float or at - at != 0:
        check_time(at)
    if run.reason is not None:
        check_kind(run.reason, str, "the reason of a run")
    if run.message is not None:
        check_kind(run.message, str, "the message of a run")
    if entry.trace is not None:
        check_kind(entry.trace, str, "a trace")
