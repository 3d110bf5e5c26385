"""Metrics of the node's workloads, counted while their entries change.

Labels have a fixed set of values: a reason that is not one of Kakuri's counts as `other`, and no
label has an id, an image or a message.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from kakuri_registry import WorkloadEntry, WorkloadRegistry
from kakuri_workload import Run, WorkloadState
from kakuri_workload.metrics import (
    LONG_SECONDS,
    Counts,
    Histograms,
    MetricFamily,
    counter,
    gauge,
)

REASONS = frozenset(
    {
        "Adopted",
        "BackOff",
        "CreatingContainer",
        "CreatingSandbox",
        "Error",
        "ImagePullFailed",
        "OOMKilled",
        "Pulling",
        "Restarted",
        "RuntimeUnavailable",
        "StartError",
        "Starting",
        "StopFailed",
        "Stopped",
        "Unknown",
        "ZoneLost",
    }
)
"""The reasons that are values of a label; the contracts describe them."""

OTHER = "other"
"""The label of every other reason, which a runtime chose."""

COMPLETED = "Completed"
"""The label for the end of a run whose process exited with 0."""

STEPS = {
    "Pulling": "pull",
    "CreatingSandbox": "sandbox",
    "CreatingContainer": "container",
    "Starting": "start",
}
"""The steps of a start, by the reason that a workload has during each."""

TOTAL = "total"

_NEW, _REMOVED = "new", "removed"
"""Labels in place of a state before the registration and after the removal."""

# Members of an enum, and their `value`, are looked up slowly.
_PENDING, _RUNNING = WorkloadState.PENDING.value, WorkloadState.RUNNING.value


def reason_label(reason: str | None) -> str:
    """Return the value of the label `reason`: empty without a reason."""
    if reason is None:
        return ""
    return reason if reason in REASONS else OTHER


class _Start:
    """A start in progress; `began` is None if its beginning was not observed."""

    __slots__ = ("attempt", "began", "step", "step_began")

    def __init__(self, attempt: int, began: float | None, step_began: float) -> None:
        self.attempt = attempt
        self.began = began
        self.step: str | None = None
        self.step_began = step_began


class WorkloadMetrics:
    """Counts the states of workloads, their transitions, and how long their starts take."""

    def __init__(
        self, registry: WorkloadRegistry, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Count the workloads of a registry, and observe it from then on.

        Args:
            registry: The workloads.
            clock: Seconds, for durations.
        """
        self._clock = clock
        self._starts: dict[str, _Start] = {}
        self._loaded: Counter[tuple[str, str]] = Counter()
        # Each change is counted once; states and transitions are derived from it when asked for.
        self._changes: dict[tuple[str, str, str, str], int] = {}
        self._restarts = Counts(
            "kakuri_workload_restarts", "Attempts after the first one of a workload."
        )
        self._restarts[()] = 0
        self._ends = Counts(
            "kakuri_workload_ends",
            "Ends of runs, whether another attempt follows or not.",
            ("reason",),
        )
        self._durations = Histograms(
            "kakuri_start_duration_seconds",
            "Time of a start of a workload, of its steps and in total.",
            ("step",),
            LONG_SECONDS,
        )
        for entry in registry:
            self._loaded[entry.run.state.value, reason_label(entry.run.reason)] += 1
        registry.observe(self._changed)

    def run_ended(self, run: Run) -> None:
        """Count the end of a run."""
        is_complete = run.state is WorkloadState.SUCCEEDED and run.reason is None
        self._ends[COMPLETED if is_complete else reason_label(run.reason),] += 1

    def families(self) -> Iterable[MetricFamily]:
        """Return the metrics."""
        states, transitions = self._loaded.copy(), Counter[tuple[str, str]]()
        for (old_state, old_reason, new_state, new_reason), number in self._changes.items():
            if old_state != _NEW:
                states[old_state, old_reason] -= number
            if new_state != _REMOVED:
                states[new_state, new_reason] += number
            if old_state != new_state:
                transitions[old_state, new_state] += number
        return (
            gauge(
                "kakuri_workloads",
                "Workloads by state and reason; the reason is empty if there is none.",
                states,
                ("state", "reason"),
            ),
            counter(
                "kakuri_workload_transitions",
                "Changes of workloads' states; new and removed stand for no state.",
                transitions,
                ("from", "to"),
            ),
            self._restarts.family(),
            self._ends.family(),
            self._durations.family(),
        )

    def _changed(self, before: WorkloadEntry | None, after: WorkloadEntry | None) -> None:
        old = None if before is None else before.run
        new = None if after is None else after.run
        if old is new:
            return  # another desired state
        old_state, old_reason, new_state, new_reason = _NEW, "", _REMOVED, ""
        if old is not None:
            old_state = old.state._value_
            if old.reason is not None:
                old_reason = reason_label(old.reason)
        if new is not None:
            new_state = new.state._value_
            if new.reason is not None:
                new_reason = reason_label(new.reason)
        key = (old_state, old_reason, new_state, new_reason)
        self._changes[key] = self._changes.get(key, 0) + 1
        if old is not None and new is not None and new.attempt > old.attempt:
            self._restarts[()] += 1
        if after is not None and new_state == _PENDING and after.restart_at is None:
            self._continue_start(before, after)
        elif before is not None and old_state == _PENDING:
            self._end_start(before.workload.id, has_started=new_state == _RUNNING)

    def _continue_start(self, before: WorkloadEntry | None, after: WorkloadEntry) -> None:
        """Record that a start began, or that it reached its next step and the last one ended."""
        run, now = after.run, self._clock()
        start = self._starts.get(after.workload.id)
        if start is None or start.attempt != run.attempt:
            # The beginning was observed if the workload has just become pending, or if its back-off
            # is over.
            is_beginning = (
                before is None or before.restart_at is not None or before.run.attempt != run.attempt
            )
            start = _Start(run.attempt, now if is_beginning else None, now)
            self._starts[after.workload.id] = start
        if run.reason is None:
            return
        if run.reason == "Adopted":
            start.began = None
        step = STEPS.get(run.reason)
        if step != start.step:
            self._end_step(start, now)
            start.step, start.step_began = step, now

    def _end_start(self, workload_id: str, *, has_started: bool) -> None:
        """Record how long a start took, if it has led to a running workload."""
        start = self._starts.pop(workload_id, None)
        if start is None or not has_started:
            return
        now = self._clock()
        if start.step is not None:
            self._end_step(start, now)
        if start.began is not None:
            self._durations[TOTAL,].observe(now - start.began)

    def _end_step(self, start: _Start, now: float) -> None:
        if start.step is not None:
            self._durations[start.step,].observe(now - start.step_began)
