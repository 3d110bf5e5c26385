"""Checks of arguments, which run before anything is changed."""

import re
from collections.abc import Mapping, Sequence
from types import UnionType

from kakuri_workload import (
    IMAGE_REFERENCE,
    MAX_ID_LENGTH,
    MAX_IMAGE_LENGTH,
    MAX_TIME,
    WORKLOAD_ID,
    PullPolicy,
    RestartPolicy,
    Run,
    Workload,
    WorkloadState,
)

from kakuri_registry._entry import WorkloadEntry

MAX_NUMBER = 2**31 - 1
"""Maximum number of seconds, failures or attempts, and maximum exit code."""

is_id = re.compile(WORKLOAD_ID).fullmatch
is_image = re.compile(IMAGE_REFERENCE).fullmatch
_valid_images: set[str] = set()
_MAX_VALID_IMAGES = 1024


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
    """Raise TypeError or ValueError unless it is a Workload that a store can load again."""
    if not isinstance(workload, Workload):
        raise TypeError(f"expected a Workload, got {workload!r:.80}")
    # Inline conditions avoid most of the calls.
    check_kind(workload.id, str, "the id of a workload")
    if len(workload.id) > MAX_ID_LENGTH or not is_id(workload.id):
        rule = f"1 to {MAX_ID_LENGTH} of a-z, 0-9 and '-', with a letter or digit at each end"
        raise ValueError(f"expected a workload id ({rule}), got {workload.id!r:.80}")
    if workload.image not in _valid_images:
        _check_image(workload.image)
    memory, cpu, restarts = workload.memory_mb, workload.cpu_millicores, workload.max_restarts
    if not memory.__class__ is cpu.__class__ is restarts.__class__ is int or not (
        0 < memory <= MAX_NUMBER and 0 < cpu <= MAX_NUMBER and 0 <= restarts <= MAX_NUMBER
    ):
        check_count(memory, "memory_mb", MAX_NUMBER, minimum=1)
        check_count(cpu, "cpu_millicores", MAX_NUMBER, minimum=1)
        check_count(restarts, "max_restarts", MAX_NUMBER)
    if workload.runtime_class.__class__ is not str:
        check_kind(workload.runtime_class, str, "runtime_class")
    if workload.restart_policy.__class__ is not RestartPolicy:
        check_kind(workload.restart_policy, RestartPolicy, "restart_policy")
    if workload.pull is not None:
        check_kind(workload.pull, PullPolicy, "pull")
    if workload.working_dir is not None:
        check_kind(workload.working_dir, str, "working_dir")
    if workload.user is not None:
        check_kind(workload.user, str, "user")
    if workload.command != ():
        _check_items(workload.command, "command")
    if workload.args != ():
        _check_items(workload.args, "args")
    if workload.env or workload.env.__class__ is not dict:
        _check_mapping(workload.env, "the environment of a workload", "variable")
    if workload.labels or workload.labels.__class__ is not dict:
        _check_mapping(workload.labels, "the labels of a workload", "label")


def _check_image(image: object) -> None:
    """Raise TypeError or ValueError unless it is an image reference; remember valid ones."""
    check_kind(image, str, "the image of a workload")
    assert isinstance(image, str)
    if len(image) > MAX_IMAGE_LENGTH or not is_image(image):
        raise ValueError(f"expected an image reference, got {image!r:.80}")
    if len(_valid_images) < _MAX_VALID_IMAGES:
        _valid_images.add(image)


def _check_items(items: object, name: str) -> None:
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise TypeError(f"expected a sequence of str as {name}, got {items!r:.80}")
    for item in items:
        check_kind(item, str, f"an item of {name}")


def _check_mapping(mapping: object, name: str, item: str) -> None:
    if not isinstance(mapping, dict):
        check_kind(mapping, Mapping, name)
    assert isinstance(mapping, Mapping)
    for key, value in mapping.items():
        if key.__class__ is not str:
            check_kind(key, str, f"the key of a {item}")
        if value.__class__ is not str:
            check_kind(value, str, f"the {item} {key!r:.80}")


def check_run(run: Run) -> None:
    """Raise TypeError unless it is a Run in one of the states."""
    if not (run.__class__ is Run and run.state.__class__ is WorkloadState):
        check_kind(run, Run, "run")
        check_kind(run.state, WorkloadState, "the state of a run")


def check_entry(entry: WorkloadEntry) -> None:
    """Raise TypeError or ValueError unless the index, the journal and a store can hold an entry."""
    # Inline conditions avoid most of the calls: every change of a workload is checked.
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
