"""Checks of arguments, which run before anything is changed."""

from collections.abc import Mapping
from types import UnionType

from kakuri_workload import MAX_TIME, Run, Workload, WorkloadState

from kakuri_registry._entry import WorkloadEntry

MAX_NUMBER = 2**31 - 1
"""Maximum number of seconds, failures or attempts, and maximum exit code."""


def check_count(value: object, name: str, maximum: int | None = None, minimum: int = 0) -> None:
    """Raise TypeError unless an argument is an integer, and ValueError if it is out of range."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected an integer as {name}, got {value!r:.80}")
    if value < minimum:
        raise ValueError(f"expected at least {minimum} as {name}, got {value!r:.80}")
    if maximum is not None and value > maximum:
        raise ValueError(f"expected at most {maximum} as {name}, got {value!r:.80}")


def check_kind(value: object, kind: type[object] | UnionType, name: str) -> None:
    """Raise TypeError unless an argument is an instance of a class, or of one of several."""
    if not isinstance(value, kind):
        expected = kind.__name__ if isinstance(kind, type) else kind
        raise TypeError(f"expected {expected} as {name}, got {value!r:.80}")


def check_time(time: object, name: str = "a time") -> None:
    """Raise TypeError unless a time is a number, and ValueError unless it is from 0 to MAX_TIME."""
    if time.__class__ is not float and (
        not isinstance(time, float | int) or isinstance(time, bool)
    ):
        raise TypeError(f"expected seconds since the epoch as {name}, got {time!r:.80}")
    if not 0 <= time <= MAX_TIME:  # also refuses NaN
        expected = f"seconds since the epoch from 0 to {MAX_TIME} (the year 9999) as {name}"
        raise ValueError(f"expected {expected}, got {time!r:.80}")


def check_workload(workload: object) -> None:
    """Raise TypeError unless it is a Workload whose id and labels are strings."""
    if not isinstance(workload, Workload):
        raise TypeError(f"expected a Workload, got {workload!r:.80}")
    check_kind(workload.id, str, "the id of a workload")
    if workload.labels or workload.labels.__class__ is not dict:
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
    """Raise TypeError or ValueError unless the index, the journal and a store can hold an entry."""
    # Conditions before the calls spare most of them: every change of a workload is checked.
    run = entry.run
    check_time(entry.changed_at)
    if entry.restart_at is not None:
        check_time(entry.restart_at, "restart_at")
    if run.started_at is not None:
        check_time(run.started_at, "started_at")
    if run.ended_at is not None:
        check_time(run.ended_at, "ended_at")
    if run.reason is not None:
        check_kind(run.reason, str, "the reason of a run")
    if run.message is not None:
        check_kind(run.message, str, "the message of a run")
    if run.address is not None:
        check_kind(run.address, str, "the address of a run")
    if run.image_digest is not None:
        check_kind(run.image_digest, str, "the image digest of a run")
    if run.exit_code is not None:
        check_count(run.exit_code, "exit_code", MAX_NUMBER, minimum=-MAX_NUMBER - 1)
    if run.attempt.__class__ is not int or not 0 <= run.attempt <= MAX_NUMBER:
        check_count(run.attempt, "attempt", MAX_NUMBER)
    if entry.trace is not None:
        check_kind(entry.trace, str, "a trace")
    if entry.grace_seconds != 0 or entry.grace_seconds.__class__ is not int:
        check_count(entry.grace_seconds, "grace_seconds", MAX_NUMBER)
    if entry.failures != 0 or entry.failures.__class__ is not int:
        check_count(entry.failures, "failures", MAX_NUMBER)
